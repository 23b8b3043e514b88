"""What a retriever is measured on: test queries, dev pairs of the same corpus, and a guard collection."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.measures import per_query
from tandem.formats.beir import read_qrels
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.formats.runs import read_run, write_run
from tandem.interfaces import Searcher
from tandem.records import LabelledPair, Query
from tandem.runs import rank_results

__all__ = [
    "GUARD",
    "SHOWN",
    "Judged",
    "draw_queries",
    "measure_collections",
    "read_collections",
    "read_judgements",
    "read_runs",
    "top_documents",
    "write_runs",
]

GUARD = "guard"
SHOWN = 5  # documents a query that the report shows


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
    documents, judgements = Corpus(corpus).texts, read_judgements(test, dev, guard)
    collections = {
        "test": Judged(documents, _queries(test), judgements["test"]),
        "dev": Judged(documents, {pair.query_id: pair.text for pair in read_records(dev, LabelledPair)}, judgements["dev"]),
    }
    if guard:
        collections[GUARD] = Judged(Corpus(guard / "corpus.jsonl").texts, _queries(guard), judgements[GUARD])
    return collections


def read_judgements(test: Path, dev: Path, guard: Path | None = None) -> dict[str, list[Qrel]]:
    """The judgements of :func:`read_collections` alone, for runs that are made already."""
    judgements = {
        "test": read_qrels(test / "qrels.tsv"),
        "dev": [Qrel(pair.query_id, pair.doc_id, pair.relevance) for pair in read_records(dev, LabelledPair)],
    }
    return judgements | ({GUARD: read_qrels(guard / "qrels.tsv")} if guard else {})


def measure_collections(
    collections: Mapping[str, Judged], index: Searcher, guard_index: Searcher | None = None, *, depth: int
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, list[ScoredDoc]]]:
    """Per-query measures and the run of each collection.

    Queries keep their ids, by which a search leaves out a query that is a document itself.

    Args:
        collections: by name.
        index: of the corpus of all collections but the guard.
        guard_index: of the guard's corpus.
        depth: results a query.
    """
    runs: dict[str, list[ScoredDoc]] = {}
    for name, judged in collections.items():
        searched = guard_index if name == GUARD else index
        runs[name] = list(searched.search(judged.queries, depth=depth)) if searched is not None and judged.queries else []
    return {name: per_query(judged.qrels, runs[name]) for name, judged in collections.items()}, runs


def write_runs(folder: Path, runs: Mapping[str, Sequence[ScoredDoc]]) -> None:
    """Write the run of each collection into a folder."""
    for name, run in runs.items():
        write_run(folder / f"{name}.jsonl", run)


def read_runs(folder: Path, names: Iterable[str]) -> dict[str, list[ScoredDoc]]:
    """The runs of a system by collection, from a folder that :func:`write_runs` filled."""
    return {name: read_run(folder / f"{name}.jsonl") for name in names}


def draw_queries(queries: Mapping[str, str], sample: int, *, seed: int) -> dict[str, str]:
    """So many queries at most, drawn by seed."""
    names = sorted(random.Random(seed).sample(sorted(queries), min(sample, len(queries))))
    return {name: queries[name] for name in names}


def top_documents(run: Sequence[ScoredDoc], count: int = SHOWN) -> dict[str, list[str]]:
    """The first doc_ids of each query, best first: what the report shows of a run."""
    return {query_id: [item.doc_id for item in items[:count]] for query_id, items in rank_results(run).items()}


def _queries(folder: Path) -> dict[str, str]:
    return {query.query_id: query.text for query in read_records(folder / "queries.jsonl", Query)}
