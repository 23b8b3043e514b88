"""Preference pairs by rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.feedback.preferences import PreferenceSettings, build_preferences, read_preferences, split_by_document, summarise
from tandem.formats.errors import InputError
from tandem.formats.jsonl import write_records
from tandem.records import PreferencePair, PseudoQuery


def query(index: int, status: str, words: int = 4, doc_id: str = "d", reason: str = "") -> PseudoQuery:
    text = " ".join(f"{doc_id}{index}w{i}" for i in range(words))
    return PseudoQuery.model_validate({"query_id": f"{doc_id}{index}", "text": text, "doc_id": doc_id, "status": status, "reason": reason})


SETTINGS = PreferenceSettings(pairs_per_document=4, min_margin=0.2, max_length_difference=2, held_out_share=0.2)


def test_invalid_queries_always_lose() -> None:
    rows = [query(i, "kept" if i % 2 else "rejected", doc_id=f"d{i // 4}", reason="" if i % 2 else "bm25") for i in range(40)]
    pairs = build_preferences(rows, {row.query_id: 0.0 for row in rows}, SETTINGS, seed=1)
    kept = {row.text for row in rows if row.status == "kept"}
    assert pairs
    assert all(pair.chosen in kept and pair.rejected not in kept for pair in pairs)
    assert {pair.kind for pair in pairs} == {"valid_over_invalid"}


def test_hard_beats_easy_by_a_margin() -> None:
    rows = [query(0, "kept"), query(1, "kept"), query(2, "kept")]
    pairs = build_preferences(rows, {"d0": 0.9, "d1": 0.8, "d2": 0.1}, SETTINGS, seed=1)
    assert {(pair.chosen, pair.rejected) for pair in pairs} == {
        (rows[0].text, rows[2].text),
        (rows[1].text, rows[2].text),
    }


def test_duplicates_and_unlike_lengths_make_no_pair() -> None:
    rows = [query(0, "kept"), query(1, "rejected", reason="duplicate"), query(2, "rejected", words=9, reason="bm25")]
    assert build_preferences(rows, {}, SETTINGS, seed=1) == []


def test_chosen_and_rejected_are_of_like_length() -> None:
    rows = []
    for i in range(200):
        rows += [
            query(0, "kept", words=6, doc_id=f"d{i}"),
            query(1, "rejected", words=4 + 4 * (i % 3 == 0), doc_id=f"d{i}", reason="bm25"),
        ]
    pairs = build_preferences(rows, {}, SETTINGS, seed=1)
    assert len(pairs) > 50
    assert abs(summarise(pairs, [])["mean_length_difference"]) <= 0.11


def test_split_shares_no_document() -> None:
    rows = [query(i, "kept" if i % 2 else "rejected", doc_id=f"d{i // 2}", reason="" if i % 2 else "bm25") for i in range(60)]
    pairs = build_preferences(rows, {}, SETTINGS, seed=1)
    train, held_out = split_by_document(pairs, held_out_share=0.2, seed=1)
    assert len(held_out) == 6
    assert not {p.doc_id for p in train} & {p.doc_id for p in held_out}


def test_pairs_of_another_source_are_about_the_corpus(tmp_path: Path) -> None:
    pairs = [PreferencePair(doc_id=doc_id, chosen="good", rejected="bad", kind="imported") for doc_id in ("d1", "d2")]
    write_records(tmp_path / "p.jsonl", pairs)
    assert read_preferences(tmp_path / "p.jsonl", {"d1", "d2"}) == pairs
    with pytest.raises(InputError, match=r"p.jsonl: row 1: doc_id: 'd2' found, which is no document of the corpus"):
        read_preferences(tmp_path / "p.jsonl", {"d1"})
