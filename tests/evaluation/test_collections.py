"""Several sets of queries, each searched in the index of its corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.collections import (
    Judged,
    draw_queries,
    measure_collections,
    read_collections,
    read_runs,
    top_documents,
    write_runs,
)
from tandem.formats.beir import write_qrels
from tandem.formats.jsonl import write_records
from tandem.records import Document, LabelledPair, Query


class Counting:
    """Finds every document, those of longer queries with higher scores, and remembers what it was asked."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self.documents, self.asked = documents, list[tuple[int, int]]()

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        self.asked.append((len(queries), depth))
        return [ScoredDoc(key, doc_id, float(len(queries[key]) - i)) for key in queries for i, doc_id in enumerate(self.documents)]


def test_each_collection_has_its_run_and_its_index(tmp_path: Path) -> None:
    documents, guard = {"d1": "x", "d2": "y"}, {"g1": "z"}
    sets = {
        "test": Judged(documents, {"q": "a"}, [Qrel("q", "d1", 1)]),
        "dev": Judged(documents, {"p": "bb", "shared": "s"}, [Qrel("p", "d2", 1)]),
        "clash": Judged(documents, {"q": "ccc"}, [Qrel("q", "d1", 1)]),  # another query of that id
        "guard": Judged(guard, {"q": "c"}, [Qrel("q", "g1", 1)]),
        "empty": Judged(documents, {}, []),
    }
    index, guard_index = Counting(documents), Counting(guard)
    values, runs = measure_collections(sets, index, guard_index, depth=7)
    assert index.asked == [(1, 7), (2, 7), (1, 7)]
    assert guard_index.asked == [(1, 7)]
    assert values["test"]["ndcg_at_10"] == {"q": 1.0}
    assert 0.6 < values["dev"]["ndcg_at_10"]["p"] < 0.7
    assert [(item.query_id, item.score) for item in runs["clash"]] == [("q", 3.0), ("q", 2.0)]
    assert values["empty"]["ndcg_at_10"] == {}
    assert top_documents(runs["dev"], 1) == {"p": ["d1"], "shared": ["d1"]}
    write_runs(tmp_path, runs)
    assert read_runs(tmp_path, runs) == runs
    assert draw_queries({str(i): "" for i in range(9)}, 4, seed=1).keys() == draw_queries({str(i): "" for i in range(9)}, 4, seed=1).keys()


def test_what_is_read(tmp_path: Path) -> None:
    corpus, dev, test = tmp_path / "corpus.jsonl", tmp_path / "dev.jsonl", tmp_path / "test"
    write_records(corpus, [Document(doc_id="d1", text="x")])
    write_records(dev, [LabelledPair(query_id="q", text="a", doc_id="d1")])
    write_records(test / "corpus.jsonl", [])
    write_records(test / "queries.jsonl", [Query(query_id="t", text="b")])
    write_qrels(test / "qrels.tsv", [Qrel("t", "d1", 1)])
    found = read_collections(corpus, test, dev, test)
    assert list(found) == ["test", "dev", "guard"]
    assert found["test"].documents is found["dev"].documents
    assert found["guard"].documents == {}
    assert list(read_collections(corpus, test, dev)) == ["test", "dev"]
