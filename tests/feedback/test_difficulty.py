"""Difficulty by formula."""

from __future__ import annotations

import pytest

from tandem.feedback.difficulty import DifficultySettings, document_difficulty, query_difficulty, score_difficulty, summarise


def test_log_rank() -> None:
    """log2(8) / log2(64) = 3 / 6; rank 1 is 0, the last rank 1."""
    shared = {"score": 3.0, "query_tokens": 4, "corpus_size": 64, "mode": "log_rank"}
    assert query_difficulty(rank=8, **shared) == pytest.approx(0.5)
    assert query_difficulty(rank=1, **shared) == 0.0
    assert query_difficulty(rank=64, **shared) == 1.0


def test_paper() -> None:
    """Equation 13 with S' = (S / |q| + 1) / 2: S = 2 over 4 tokens gives .75, rank 3 gives 4; a score below 0 keeps its sign."""
    shared = {"query_tokens": 4, "corpus_size": 64, "mode": "paper"}
    assert query_difficulty(rank=3, score=2.0, **shared) == pytest.approx(4.0)
    assert query_difficulty(rank=3, score=-9.0, **shared) > 0


def test_a_document_beyond_the_depth() -> None:
    settings = DifficultySettings(mode="log_rank", depth=10)
    rows = score_difficulty({"q1": "a", "q2": "b"}, {"q1": (1, 5.0)}, {"q1": 2, "q2": 2}, settings, corpus_size=100)
    assert [(row.rank, row.score) for row in rows] == [(1, 5.0), (11, 5.0)]
    assert document_difficulty(rows) == {"a": 0.0, "b": pytest.approx(rows[1].difficulty)}
    assert summarise(rows) == {
        "queries": 2,
        "mean_difficulty": pytest.approx(rows[1].difficulty / 2),
        "share_at_rank_1": 0.5,
        "share_beyond_rank_10": 0.5,
    }
