"""Runs on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from ir_measures import ScoredDoc

from tandem.formats.errors import InputError
from tandem.formats.runs import read_run, write_run
from tandem.runs import rank_results


def test_a_run_comes_back_in_its_one_order(tmp_path: Path) -> None:
    run = [ScoredDoc("q", "a", 1.0), ScoredDoc("q", "b", 2.5), ScoredDoc("p", "a", 0.1), ScoredDoc("q", "c", 1.0)]
    write_run(tmp_path / "r.jsonl", run)
    read = read_run(tmp_path / "r.jsonl")
    assert rank_results(read) == rank_results(run)
    assert [item for item in read if item.query_id == "q"] == rank_results(run)["q"]


def test_scores_for_other_documents_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"query_id": "q", "doc_ids": ["a"], "scores": []}\n')
    with pytest.raises(InputError, match=r"r.jsonl:1: .*scores: 0 found for 1 documents in doc_ids"):
        read_run(tmp_path / "r.jsonl")
