"""Search for queries of tasks: a corpus or a query's own candidates, by BM25 or by an encoder, and what dev rows say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ir_measures import ScoredDoc
from makers import task_encoder_settings

from tandem.evaluation.dev_score import ndcg_at_10
from tandem.interfaces import Searcher
from tandem.records import TaskQuery, TaskRow
from tandem.retrievers.bm25 import BM25Settings, LexicalSettings
from tandem.retrievers.dense import save_dense
from tandem.retrievers.task_encoder import build_task_encoder, encode_texts
from tandem.retrievers.task_search import BM25Tasks, EncoderTasks, TaskSearch, open_task_systems, rank_task
from tandem.retrievers.training.task_dev import dev_by_task, dev_values, relevant_places

KEYS = ["sort the rows of a table", "the mean of an array", "plot a line", "read a file of text"]
LEXICAL = LexicalSettings(bm25=BM25Settings(), language="english")


@pytest.fixture
def retrievers(tiny_encoder: Path) -> dict[str, TaskSearch]:
    return {"bm25": BM25Tasks(LEXICAL), "encoder": EncoderTasks(build_task_encoder(task_encoder_settings(tiny_encoder)))}


def query(query_id: str, text: str, key: list[str] | None = None) -> TaskQuery:
    return TaskQuery(query_id=query_id, task="qa", query=text, key=key)


@pytest.mark.parametrize("name", ["bm25", "encoder"])
def test_a_corpus_and_candidates_are_ranked_alike(retrievers: dict[str, TaskSearch], name: str) -> None:
    """The same keys, once as the corpus and once as a query's candidates, have the same places; the id 0 is a query's, not a key's."""
    retriever = retrievers[name]
    corpus = rank_task([query("0", "sort a table")], KEYS, retriever, depth=3)
    brought = rank_task([query("0", "sort a table", KEYS)], [], retriever, depth=3)
    assert [item.query_id for item in corpus] == ["0"] * len(corpus)
    assert [item.doc_id for item in corpus] == [item.doc_id for item in brought][: len(corpus)]
    assert corpus[0].doc_id == "0"
    assert [item.score for item in corpus] == pytest.approx([item.score for item in brought][: len(corpus)], abs=1e-5)


def test_scores_are_those_of_single_vectors(tiny_encoder: Path) -> None:
    model = build_task_encoder(task_encoder_settings(tiny_encoder))
    scores = EncoderTasks(model).scores("qa", ["sort a table", "plot"], [KEYS[:2], KEYS[1:]])
    keys, asked = encode_texts(model, KEYS, "qa", "key"), encode_texts(model, ["sort a table", "plot"], "qa", "query")
    assert scores[0] == pytest.approx([float(asked[0] @ keys[0]), float(asked[0] @ keys[1])], abs=1e-5)
    assert scores[1] == pytest.approx([float(asked[1] @ key) for key in keys[1:]], abs=1e-5)


def test_a_query_whose_id_is_a_place_finds_that_key() -> None:
    class LeavesOut:
        def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
            return [ScoredDoc(query_id, str(place), -float(place)) for query_id in queries for place in (0, 1) if str(place) != query_id][
                :depth
            ]

    class Indexed(BM25Tasks):
        def index(self, task: str, keys: Sequence[str]) -> Searcher:
            return LeavesOut()

    assert rank_task([query("0", "q")], KEYS, Indexed(LEXICAL), depth=5) == [ScoredDoc("0", "0", 0.0), ScoredDoc("0", "1", -1.0)]


def test_who_has_neither_corpus_nor_candidates_is_told(retrievers: dict[str, TaskSearch]) -> None:
    with pytest.raises(ValueError, match="query a of task qa: key: none found, and the task has no corpus"):
        rank_task([query("a", "sort")], [], retrievers["bm25"], depth=3)
    assert rank_task([], [], retrievers["bm25"], depth=3) == []


def test_dev_rows_without_labels_follow_the_teacher(retrievers: dict[str, TaskSearch]) -> None:
    """The judged row's key is BM25's first: 1. The teacher's best of the other is its second: 1 / log2(3). The third says nothing."""
    judged = TaskRow(query_id="a", task="qa", query="sort rows", pos=[KEYS[0]], neg=KEYS[1:])
    taught = TaskRow(query_id="b", task="qa", query="plot a line of text", neg=[KEYS[2], KEYS[3]], teacher_scores=[-2.0, -1.0])
    equal = taught.model_copy(update={"query_id": "c", "teacher_scores": [-1.0, -1.0]})
    assert [relevant_places(row) for row in (judged, taught, equal)] == [[0], [1], []]
    values = dev_by_task({"qa": [judged, taught, equal]}, retrievers["bm25"], ndcg_at_10)
    assert values == {"qa": {"000000": 1.0, "000001": pytest.approx(0.6309, abs=1e-4)}}
    assert dev_values({"qa": [judged, taught, equal]}, retrievers["bm25"], ndcg_at_10) == list(values["qa"].values())


def test_systems_are_bm25_the_start_and_the_trained(tiny_encoder: Path, tmp_path: Path) -> None:
    """A trained encoder that reads no instructions has the untrained one's vectors, bare, where it is the untrained one."""
    settings = task_encoder_settings(tiny_encoder)
    save_dense(build_task_encoder(settings.bare()), tmp_path / "mine")
    systems = open_task_systems(settings, LEXICAL, tmp_path, ["mine"], device="cpu")
    assert list(systems) == ["bm25", "untrained", "untrained_instructed", "mine"]
    scores = {name: system.scores("qa", ["sort a table"], [KEYS])[0] for name, system in systems.items()}
    assert scores["mine"] == pytest.approx(scores["untrained"], abs=1e-6)
    assert scores["untrained_instructed"] != pytest.approx(scores["untrained"], abs=1e-3)
