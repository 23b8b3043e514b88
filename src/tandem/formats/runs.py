"""Runs on disk: one JSON line a query, its results best first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ir_measures import ScoredDoc

from tandem.formats.jsonl import read_records, write_records
from tandem.records import Ranking
from tandem.runs import rank_results

__all__ = ["read_run", "write_run"]


def write_run(path: Path, run: Iterable[ScoredDoc]) -> None:
    """Write a run, whole or not at all, each query's results in the one order of :func:`tandem.runs.rank_results`."""
    ranked = rank_results(run)
    rows = (
        Ranking(query_id=query_id, doc_ids=[item.doc_id for item in items], scores=[float(item.score) for item in items])
        for query_id, items in ranked.items()
    )
    write_records(path, rows)


def read_run(path: Path) -> list[ScoredDoc]:
    """Read a run.

    Raises:
        InputError: the file is missing or malformed; names file and line.
    """
    return [
        ScoredDoc(ranking.query_id, doc_id, score)
        for ranking in read_records(path, Ranking)
        for doc_id, score in zip(ranking.doc_ids, ranking.scores, strict=True)
    ]
