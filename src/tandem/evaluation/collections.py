"""What a retriever is measured on, in one search of each corpus: test queries, dev pairs of the same corpus, a guard collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.measures import per_query
from tandem.formats.beir import read_qrels
from tandem.formats.jsonl import read_records
from tandem.formats.texts import TextFile
from tandem.records import LabelledPair, Query

__all__ = ["GUARD", "SHOWN", "Judged", "Search", "measure_collections", "read_collections", "top_documents"]

GUARD = "guard"
SHOWN = 5  # documents a query that the report shows
Search = Callable[[Mapping[str, str], Mapping[str, str]], Sequence[ScoredDoc]]


@dataclass(frozen=True, slots=True)
class Judged:
    """Queries with judgements over one corpus: documents and queries are texts by their ids."""

    documents: Mapping[str, str]
    queries: Mapping[str, str]
    qrels: Sequence[Qrel]


def read_collections(corpus: Path, test: Path, dev: Path, guard: Path | None = None) -> dict[str, Judged]:
    """``test``, ``dev`` and ``guard``; a set without queries is there and empty.

    Args:
        corpus: of the test and dev queries.
        test: folder of queries.jsonl and qrels.tsv.
        dev: labelled pairs, each a judgement.
        guard: folder of corpus.jsonl, queries.jsonl and qrels.tsv; None leaves it out.
    """
    documents = TextFile(corpus)
    pairs = read_records(dev, LabelledPair)
    collections = {
        "test": Judged(documents, _queries(test), read_qrels(test / "qrels.tsv")),
        "dev": Judged(
            documents,
            {pair.query_id: pair.text for pair in pairs},
            [Qrel(pair.query_id, pair.doc_id, pair.relevance) for pair in pairs],
        ),
    }
    if guard:
        collections[GUARD] = Judged(TextFile(guard / "corpus.jsonl"), _queries(guard), read_qrels(guard / "qrels.tsv"))
    return collections


def measure_collections(
    collections: Mapping[str, Judged], search: Search
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, list[ScoredDoc]]]:
    """Per-query measures and the run of each collection; those that share a corpus are searched together, which encodes it once.

    Args:
        collections: by name.
        search: documents and queries to a run.
    """
    runs: dict[str, list[ScoredDoc]] = {name: [] for name in collections}
    for documents in {id(own.documents): own.documents for own in collections.values()}.values():
        names = [name for name, own in collections.items() if own.documents is documents and own.queries]
        queries = {f"{name}\t{query_id}": text for name in names for query_id, text in collections[name].queries.items()}
        for item in search(documents, queries) if queries else ():
            name, _, query_id = item.query_id.partition("\t")
            runs[name].append(ScoredDoc(query_id, item.doc_id, item.score))
    return {name: per_query(own.qrels, runs[name]) for name, own in collections.items()}, runs


def top_documents(run: Sequence[ScoredDoc], number: int = SHOWN) -> dict[str, list[str]]:
    """The first doc_ids of each query, best first: what the report shows of a run."""
    by_query: dict[str, list[ScoredDoc]] = {}
    for item in run:
        by_query.setdefault(item.query_id, []).append(item)
    return {
        query_id: [item.doc_id for item in sorted(own, key=lambda item: (-item.score, item.doc_id))[:number]]
        for query_id, own in by_query.items()
    }


def _queries(folder: Path) -> dict[str, str]:
    return {query.query_id: query.text for query in read_records(folder / "queries.jsonl", Query)}
