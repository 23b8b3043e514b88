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
from tandem.runs import rank_results

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

    Queries keep their ids, by which a search leaves out a query that is a document itself.

    Args:
        collections: by name.
        search: documents and queries to a run.
    """
    runs: dict[str, list[ScoredDoc]] = {name: [] for name in collections}
    for names, queries in _searches(collections):
        for item in search(collections[names[0]].documents, queries):
            for name in names:
                if item.query_id in collections[name].queries:
                    runs[name].append(item)
    return {name: per_query(own.qrels, runs[name]) for name, own in collections.items()}, runs


def _searches(collections: Mapping[str, Judged]) -> list[tuple[list[str], dict[str, str]]]:
    """Names of collections to search together, with all their queries: those of one corpus in which no id stands for two texts."""
    together: list[tuple[list[str], dict[str, str]]] = []
    for name, judged in collections.items():
        for names, queries in together:
            same_corpus = collections[names[0]].documents is judged.documents
            if same_corpus and all(queries.get(query_id, text) == text for query_id, text in judged.queries.items()):
                names.append(name)
                queries.update(judged.queries)
                break
        else:
            together.append(([name], dict(judged.queries)))
    return [(names, queries) for names, queries in together if queries]


def top_documents(run: Sequence[ScoredDoc], number: int = SHOWN) -> dict[str, list[str]]:
    """The first doc_ids of each query, best first: what the report shows of a run."""
    return {query_id: [item.doc_id for item in items[:number]] for query_id, items in rank_results(run).items()}


def _queries(folder: Path) -> dict[str, str]:
    return {query.query_id: query.text for query in read_records(folder / "queries.jsonl", Query)}
