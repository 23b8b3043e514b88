"""Relevance: only kept rows are judged, the cut is the stricter of threshold and share, real pairs meet the same cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from ir_measures import ScoredDoc

from tandem.filters.chain import ChainSettings, filter_and_rate
from tandem.filters.relevance import RelevanceSettings, apply_relevance, relevance_cut, write_relevance
from tandem.records import Document, LabelledPair, PseudoQuery

TEXTS = {"a": "alpha", "b": "beta"}
LOGITS = {"one": 2.0, "two": 1.0, "three": 0.0, "four": -1000.0}


def judge(pairs: Sequence[tuple[str, str]]) -> list[float]:
    assert all(document in TEXTS.values() for _, document in pairs)
    return [LOGITS[query] for query, _ in pairs]


def rows(*texts: str) -> list[PseudoQuery]:
    return [PseudoQuery(query_id=text, text=text, doc_id="a", status="kept") for text in texts]


def test_scores_are_probabilities_of_kept_rows_alone() -> None:
    lost = PseudoQuery(query_id="x", text="never judged", doc_id="b", status="rejected", reason="bm25")
    marked = write_relevance([*rows(*LOGITS), lost], TEXTS, judge)
    assert [row.scores.get("relevance") for row in marked] == pytest.approx(
        [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-1)), 0.5, 0.0, None]
    )
    assert marked[-1] == lost


@pytest.mark.parametrize(
    ("threshold", "share", "kept"),
    [(None, None, 4), (0.5, None, 3), (0.6, None, 2), (None, 0.5, 2), (None, 0.01, 1), (0.5, 1.0, 3), (0.1, 0.3, 2), (0.8, 0.9, 1)],
)
def test_the_cut(threshold: float | None, share: float | None, kept: int) -> None:
    marked = write_relevance(rows(*LOGITS), TEXTS, judge)
    result = apply_relevance(marked, relevance_cut(marked, threshold=threshold, top_share=share))
    assert [row.text for row in result if row.status == "kept"] == list(LOGITS)[:kept]
    assert all(row.reason == "relevance" for row in result if row.status == "rejected")


def test_real_pairs_meet_the_threshold_that_a_share_of_the_generated_ones_was() -> None:
    """Half of four generated rows stay: those from .73 up. Of two real pairs, one reaches it."""
    corpus = [Document(doc_id=doc_id, text=text) for doc_id, text in TEXTS.items()]
    generated = [PseudoQuery(query_id=text, text=text, doc_id="a") for text in LOGITS]
    real = [LabelledPair(query_id="r1", text="one", doc_id="b"), LabelledPair(query_id="r2", text="three", doc_id="b")]

    def search(name: str, queries: dict[str, tuple[str, str]]) -> list[ScoredDoc]:
        raise AssertionError(f"no rule asks for {name} and {queries}")

    marked, steps, rates = filter_and_rate(
        generated,
        real,
        corpus,
        search,
        ChainSettings(rules=[], min_words=1, max_words=9),
        judge=judge,
        relevance=RelevanceSettings(top_share=0.5),
    )
    assert [row.status for row in marked] == ["kept", "kept", "rejected", "rejected"]
    assert steps[-1] == {"filter": "relevance", "left": 2}
    assert rates == pytest.approx(
        {
            "generated": 4,
            "kept": 2,
            "keep_rate": 0.5,
            "relevance_cut": 1 / (1 + math.exp(-1)),
            "real_keep_rate": 0.5,
            "real_kept_after_relevance": 0.5,
        }
    )
