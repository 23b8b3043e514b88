"""Several sets of queries in one search of each corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.collections import Judged, measure_collections, read_collections, top_documents
from tandem.formats.beir import write_qrels
from tandem.formats.jsonl import write_records
from tandem.records import Document, LabelledPair, Query


def test_a_corpus_is_searched_once_and_runs_do_not_mix() -> None:
    documents, other = {"d1": "x", "d2": "y"}, {"g1": "z"}
    calls = []

    def search(texts: Mapping[str, str], queries: Mapping[str, str]) -> list[ScoredDoc]:
        calls.append((dict(texts), len(queries)))
        return [ScoredDoc(query_id, doc_id, float(len(queries[query_id]) - i)) for query_id in queries for i, doc_id in enumerate(texts)]

    sets = {
        "test": Judged(documents, {"q": "a"}, [Qrel("q", "d1", 1)]),
        "dev": Judged(documents, {"p": "bb", "shared": "s"}, [Qrel("p", "d2", 1)]),
        "more": Judged(documents, {"q": "a", "shared": "s"}, [Qrel("q", "d2", 1)]),  # the same query of the same id
        "clash": Judged(documents, {"q": "ccc"}, [Qrel("q", "d1", 1)]),  # another query of that id is searched by itself
        "guard": Judged(other, {"q": "c"}, [Qrel("q", "g1", 1)]),
        "empty": Judged(other, {}, []),
    }
    values, runs = measure_collections(sets, search)
    assert calls == [(documents, 3), (documents, 1), (other, 1)]
    assert values["test"]["ndcg_at_10"] == {"q": 1.0}
    assert 0.6 < values["dev"]["ndcg_at_10"]["p"] < 0.7
    assert [(item.query_id, item.score) for item in runs["clash"]] == [("q", 3.0), ("q", 2.0)]
    assert values["empty"]["ndcg_at_10"] == {}
    assert top_documents(runs["dev"], 1) == {"p": ["d1"], "shared": ["d1"]}


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
