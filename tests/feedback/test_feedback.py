"""Difficulty by formula, preference pairs by rule."""

from __future__ import annotations

import pytest
from ir_measures import ScoredDoc

from tandem.feedback.difficulty import best_competitors, document_difficulty, query_difficulty, score_difficulty
from tandem.feedback.preferences import build_preferences, split_by_document, summarise
from tandem.records import PseudoQuery


def test_log_rank() -> None:
    """log2(8) / log2(64) = 3 / 6; rank 1 is 0, the last rank 1."""
    shared = {"score": 3.0, "query_tokens": 4, "corpus_size": 64, "mode": "log_rank"}
    assert query_difficulty(rank=8, **shared) == pytest.approx(0.5)  # type: ignore[arg-type]
    assert query_difficulty(rank=1, **shared) == 0.0  # type: ignore[arg-type]
    assert query_difficulty(rank=64, **shared) == 1.0  # type: ignore[arg-type]


def test_paper() -> None:
    """Equation 13 with S' = (S / |q| + 1) / 2: S = 2 over 4 tokens gives .75, rank 3 gives 4; a score below 0 keeps its sign."""
    shared = {"query_tokens": 4, "corpus_size": 64, "mode": "paper"}
    assert query_difficulty(rank=3, score=2.0, **shared) == pytest.approx(4.0)  # type: ignore[arg-type]
    assert query_difficulty(rank=3, score=-9.0, **shared) > 0  # type: ignore[arg-type]


def test_a_document_beyond_the_depth() -> None:
    rows = score_difficulty(
        {"q1": "a", "q2": "b"},
        {"q1": (1, 5.0)},
        {"q1": 3.0},
        {"q1": 2, "q2": 2},
        corpus_size=100,
        depth=10,
        mode="log_rank",
    )
    assert [(row.rank, row.score) for row in rows] == [(1, 5.0), (11, 5.0)]
    assert rows[0].gap == pytest.approx(-1.0)
    assert document_difficulty(rows) == {"a": 0.0, "b": pytest.approx(rows[1].difficulty)}


def test_best_competitor_is_no_duplicate_of_the_document() -> None:
    run = [ScoredDoc("q", "a2", 9.0), ScoredDoc("q", "a", 8.0), ScoredDoc("q", "b", 7.0)]
    assert best_competitors({"q": "a"}, run, {"a": 0, "a2": 0, "b": 1}) == {"q": 7.0}


def query(number: int, status: str, words: int = 4, doc_id: str = "d", reason: str = "") -> PseudoQuery:
    text = " ".join(f"{doc_id}{number}w{i}" for i in range(words))
    return PseudoQuery.model_validate({"query_id": f"{doc_id}{number}", "text": text, "doc_id": doc_id, "status": status, "reason": reason})


SETTINGS = {"pairs_per_document": 4, "min_margin": 0.2, "max_length_difference": 2, "seed": 1}


def test_invalid_queries_always_lose() -> None:
    rows = [query(i, "kept" if i % 2 else "rejected", doc_id=f"d{i // 4}", reason="" if i % 2 else "bm25") for i in range(40)]
    pairs = build_preferences(rows, {row.query_id: 0.0 for row in rows}, **SETTINGS)  # type: ignore[arg-type]
    kept = {row.text for row in rows if row.status == "kept"}
    assert pairs
    assert all(pair.chosen in kept and pair.rejected not in kept for pair in pairs)
    assert {pair.kind for pair in pairs} == {"valid_over_invalid"}


def test_hard_beats_easy_by_a_margin() -> None:
    rows = [query(0, "kept"), query(1, "kept"), query(2, "kept")]
    pairs = build_preferences(rows, {"d0": 0.9, "d1": 0.8, "d2": 0.1}, **SETTINGS)  # type: ignore[arg-type]
    assert {(pair.chosen, pair.rejected) for pair in pairs} == {
        (rows[0].text, rows[2].text),
        (rows[1].text, rows[2].text),
    }


def test_duplicates_and_unlike_lengths_make_no_pair() -> None:
    rows = [query(0, "kept"), query(1, "rejected", reason="duplicate"), query(2, "rejected", words=9, reason="bm25")]
    assert build_preferences(rows, {}, **SETTINGS) == []  # type: ignore[arg-type]


def test_chosen_and_rejected_are_of_like_length() -> None:
    rows = []
    for i in range(200):
        rows += [
            query(0, "kept", words=6, doc_id=f"d{i}"),
            query(1, "rejected", words=4 + 4 * (i % 3 == 0), doc_id=f"d{i}", reason="bm25"),
        ]
    pairs = build_preferences(rows, {}, **SETTINGS)  # type: ignore[arg-type]
    assert len(pairs) > 50
    assert abs(summarise(pairs, [])["mean_length_difference"]) <= 0.11


def test_split_shares_no_document() -> None:
    rows = [query(i, "kept" if i % 2 else "rejected", doc_id=f"d{i // 2}", reason="" if i % 2 else "bm25") for i in range(60)]
    pairs = build_preferences(rows, {}, **SETTINGS)  # type: ignore[arg-type]
    train, held_out = split_by_document(pairs, held_out_share=0.2, seed=1)
    assert len(held_out) == 6
    assert not {p.doc_id for p in train} & {p.doc_id for p in held_out}
