"""A query that is a document under its own id (ArguAna, Quora) is no result of its own search, in any run, and depth results remain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import QUERIES, TEXTS
from ir_measures import Qrel, ScoredDoc
from makers import retriever_settings

from tandem.evaluation.collections import Judged, measure_collections
from tandem.filters.chain import ChainSettings, Rule, keep_rate
from tandem.filters.reward import RoundTripReward
from tandem.formats.corpus import Corpus
from tandem.interfaces import Searcher
from tandem.records import Document, LabelledPair
from tandem.rerankers.judge import rerank
from tandem.retrievers import bm25
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.hard_negatives import MiningSettings, mine_rows
from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index
from tandem.retrievers.retriever import build_retriever, search
from tandem.retrievers.training.pairs import identical_documents
from tandem.retrievers.training.rows import TrainingData, build_training_set
from tandem.runs import without_own

DEPTH = 3
ASKED = {"sort": TEXTS["sort"], "mean": TEXTS["mean"], "other": QUERIES["mean"]}  # two documents and a query, by their ids
Find = Callable[[Mapping[str, str]], Sequence[ScoredDoc]]


class Finder:
    """A function as a searcher."""

    def __init__(self, find: Find) -> None:
        self.find = find

    def search(self, queries: Mapping[str, str], *, depth: int) -> Sequence[ScoredDoc]:
        assert depth == DEPTH
        return self.find(queries)


@pytest.fixture
def finders(tiny_encoder: Path, corpus: list[Document], tmp_path: Path) -> dict[str, Find]:
    """Every search that there is, to a depth of 3."""
    late, single = (
        build_retriever(retriever_settings(tiny_encoder, kind=kind, query_tokens=24, document_tokens=24), seed=1, device="cpu")
        for kind in ("colbert", "dense")
    )

    def indexed(kind: Any) -> Searcher:
        model = late if kind == "exact" else single
        build_index(model, TEXTS, tmp_path / kind, IndexSettings(kind=kind, shard_documents=2), scratch=tmp_path / "scratch", seed=1)
        return VectorIndex(tmp_path / kind, Path("none"), model=model)

    searchers = {"bm25": bm25.BM25Index(TEXTS), "dense": indexed("flat"), "retriever": indexed("exact")}
    filters = FilterRuns(corpus, searchers, depth=DEPTH, seed=1)

    def filtered(name: str) -> Find:
        return lambda queries: filters.search(name, {query_id: (text, "join") for query_id, text in queries.items()})

    return {
        "bm25": lambda queries: bm25.search(TEXTS, queries, depth=DEPTH),
        "colbert": lambda queries: search(late, TEXTS, queries, depth=DEPTH, chunk_documents=2),
        "dense": lambda queries: search(single, TEXTS, queries, depth=DEPTH),
        **{kind: partial(indexed(kind).search, depth=DEPTH) for kind in ("exact", "flat", "hnsw")},
        **{f"filter {name}": filtered(name) for name in ("bm25", "bm25_sampled", "dense", "retriever")},
    }


def test_no_search_finds_the_query_itself(finders: dict[str, Find]) -> None:
    for name, find in finders.items():
        run = find(ASKED)
        assert not [item for item in run if item.query_id == item.doc_id], name
        for query_id in ASKED:
            scores = [item.score for item in run if item.query_id == query_id]
            if "bm25" not in name:  # which leaves out documents that share no word
                assert len(scores) == DEPTH, name
                assert scores == sorted(scores, reverse=True), name


def test_bm25_gives_as_many_results_as_it_is_asked_for() -> None:
    documents = {"a": "alpha beta", "b": "alpha gamma delta", "c": "alpha epsilon zeta eta", "d": "theta"}
    run = bm25.search(documents, {"a": documents["a"], "q": "alpha"}, depth=2)
    assert [item.doc_id for item in run if item.query_id == "a"] == ["b", "c"]
    assert [item.doc_id for item in run if item.query_id == "q"] == ["a", "b"]


def test_nothing_else_of_a_run_changes(finders: dict[str, Find]) -> None:
    """What remains is what was found before, one deeper."""
    for name in ("bm25", "colbert", "dense", "flat"):
        as_stranger = [item.doc_id for item in finders[name]({"stranger": TEXTS["sort"]})]
        itself = [item.doc_id for item in finders[name]({"sort": TEXTS["sort"]})]
        assert as_stranger[0] == "sort", name
        assert itself[: DEPTH - 1] == as_stranger[1:], name


def test_runs_are_cut_after_the_query_has_left() -> None:
    run = [ScoredDoc("a", name, score) for name, score in (("b", 3.0), ("a", 2.0), ("c", 1.0), ("d", 0.5))]
    assert [item.doc_id for item in without_own(run, depth=2)] == ["b", "c"]


def test_rerankers() -> None:
    """Nor where the run comes from elsewhere."""
    run = [ScoredDoc("sort", name, score) for name, score in (("sort", 3.0), ("mean", 2.0), ("join", 1.0), ("plot", 0.5))]
    texts = {"sort": TEXTS["sort"]}
    scored, first, rest = rerank(lambda pairs: [float(i) for i in range(len(pairs))], run, texts, TEXTS, depth=2)
    assert [item.doc_id for item in scored] == [item.doc_id for item in first] == ["mean", "join"]
    assert [item.doc_id for item in rest] == ["plot"]


def test_measures(finders: dict[str, Find]) -> None:
    """The document wins no search of itself, so a query's nDCG is that of the document that was judged."""
    sets = {
        name: Judged(TEXTS, {"sort": TEXTS["sort"]}, [Qrel("sort", "join", 1), Qrel("sort", "mean", 1), Qrel("sort", "parse", 1)])
        for name in ("test", "dev")
    }
    for name in ("colbert", "bm25"):
        _, runs = measure_collections(sets, Finder(finders[name]), depth=DEPTH)
        assert all("sort" not in {item.doc_id for item in run} for run in runs.values())
        assert runs["test"] == runs["dev"] != []


def test_hard_negatives(corpus: list[Document], finders: dict[str, Find]) -> None:
    pairs = [LabelledPair(query_id="sort", text=TEXTS["sort"], doc_id="join"), LabelledPair(query_id="q", text="mean", doc_id="plot")]
    window: dict[str, Any] = {"rank_start": 1, "rank_end": 9, "negatives_per_query": 9, "relative_margin": None}
    mining = MiningSettings(**window, run="bm25", screen=False, teach=False)
    seen: list[str] = []

    def run(queries: Mapping[str, tuple[str, str]]) -> list[ScoredDoc]:
        seen.extend(queries)
        return [ScoredDoc(name, doc_id, float(-i)) for name in queries for i, doc_id in enumerate(TEXTS)]

    rows, _ = mine_rows(pairs, corpus, run, mining, judge=lambda: None, seed=1)
    assert set(rows[0].neg) == set(TEXTS) - {"sort", "join"}
    assert set(rows[1].neg) == set(TEXTS) - {"plot"}  # a text that reads like an id is nobody's
    assert not set(seen) & set(TEXTS)


def test_random_negatives_and_in_batch_negatives(corpus: list[Document]) -> None:
    pairs = [LabelledPair(query_id="sort", text=TEXTS["sort"], doc_id="join")]
    identical = identical_documents(pairs, TEXTS)
    groups = Corpus.of(corpus).groups
    data = TrainingData([(TEXTS["sort"], "join")], corpus, identical=identical)
    made = build_training_set(data, rows=40, negatives=1, seed=1)
    assert TEXTS["sort"] not in made.columns["negative_1"]
    assert made.relevant[0] == {groups["join"], groups["sort"]}
    assert set(made.columns["positive"]) == {TEXTS["join"]}  # type: ignore[arg-type]


def test_the_keep_rate_of_real_pairs(corpus: list[Document]) -> None:
    """The document of a query's own id does not compete with the one judged; a corpus whose ids are numbers loses none."""
    numbered = [Document(doc_id=str(i), text=text) for i, text in enumerate(TEXTS.values())]

    def run(name: str, queries: Mapping[str, tuple[str, str]]) -> list[ScoredDoc]:
        return [ScoredDoc(query_id, i, -float(i)) for query_id in queries for i in map(str, range(6))]

    chain = ChainSettings(rules=[Rule(run="bm25", k=1)], min_words=1, max_words=99)
    first = LabelledPair(query_id="q", text="sort", doc_id="0")
    assert keep_rate([first], numbered, run, chain)["real_keep_rate"] == 1.0
    itself = LabelledPair(query_id="0", text=TEXTS["sort"], doc_id="1")
    assert keep_rate([itself], numbered, run, chain)["real_keep_rate"] == 1.0


def test_a_reward_is_of_all_documents(corpus: list[Document]) -> None:
    """Queries that have no id of their own leave nothing out, though documents may be numbered."""
    numbered = [Document(doc_id=str(i), text=text) for i, text in enumerate(TEXTS.values())]
    index = bm25.BM25Index({document.doc_id: document.text for document in numbered})
    reward = RoundTripReward(numbered, index)
    assert reward(list(TEXTS.values()), [document.doc_id for document in numbered]) == [1.0] * 6
