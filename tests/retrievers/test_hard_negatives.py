"""Hard negatives: the window, the margin, duplicates and a scorer's veto, each counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from ir_measures import ScoredDoc

from tandem.records import Document, LabelledPair
from tandem.retrievers.hard_negatives import MiningSettings, WindowSettings, false_negatives, mine_negatives, mine_rows

SCORES = {"a": 10.0, "p": 9.0, "b": 8.8, "twin": 8.0, "c": 7.0, "d": 6.0, "e": 5.0}
RUN = [ScoredDoc("q", doc_id, score) for doc_id, score in SCORES.items()]
GROUPS = {"a": 0, "p": 1, "b": 2, "twin": 1, "c": 3, "d": 4, "e": 5}


def mine(**changes: Any) -> tuple[list[str], dict[str, int]]:
    settings: dict[str, Any] = {"rank_start": 1, "rank_end": 10, "negatives_per_query": 10, "relative_margin": None}
    others = {"seed": 1, **{key: changes.pop(key) for key in ("seed", "scorer") if key in changes}}
    chosen, counts = mine_negatives({"q": {"p"}}, RUN, GROUPS, WindowSettings(**{**settings, **changes}), **others)
    return chosen["q"], counts


def test_neither_the_relevant_document_nor_its_twin() -> None:
    chosen, counts = mine()
    assert chosen == ["a", "b", "c", "d", "e"]
    assert counts == {"negatives": 5, "queries_without": 0, "duplicates": 1, "margin": 0, "mask": 0, "scorer": 0}


def test_the_window_counts_ranks_without_the_relevant() -> None:
    assert mine(rank_start=2, rank_end=4)[0] == ["b", "c"]


def test_the_margin_is_relative_to_the_relevant_score() -> None:
    """.95 * 9 = 8.55: a (10) and b (8.8) lie above."""
    chosen, counts = mine(relative_margin=0.95)
    assert chosen == ["c", "d", "e"]
    assert counts["margin"] == 2


def test_a_scorer_s_veto() -> None:
    chosen, counts = mine(scorer=lambda pairs: [{"p": 0.5, "c": 0.9, "d": 0.6}.get(doc_id, 0.1) for _, doc_id in pairs])
    assert chosen == ["a", "b", "e"]
    assert counts["scorer"] == 2


def test_the_draw_is_seeded_and_counted() -> None:
    assert mine(negatives_per_query=2) == mine(negatives_per_query=2)
    assert len({tuple(mine(negatives_per_query=2, seed=seed)[0]) for seed in range(20)}) > 5
    assert mine(rank_start=9)[1]["queries_without"] == 1


def test_a_window_must_be_one() -> None:
    with pytest.raises(ValueError, match="rank 3 to 2"):
        mine(rank_start=3, rank_end=2)


def test_mined_rows_are_screened_taught_and_merged_by_text(corpus: list[Document]) -> None:
    texts = [("Sort  rows", "sort"), ("sort rows", "join"), ("draw", "plot")]
    pairs = [LabelledPair(query_id=f"q{i}", text=text, doc_id=doc_id) for i, (text, doc_id) in enumerate(texts)]

    def run(name: str, queries: Mapping[str, tuple[str, str]], depth: int) -> list[ScoredDoc]:
        assert (name, depth) == ("bm25", 59)
        assert [text for text, _ in queries.values()] == ["Sort  rows", "draw"]
        return [ScoredDoc(key, document.doc_id, 10.0 - i) for key in queries for i, document in enumerate(corpus)]

    def judge(wanted: Sequence[tuple[str, str]]) -> list[float]:
        return [5.0 if document.startswith(("Find", "Draw")) else 0.0 for _, document in wanted]

    window: dict[str, Any] = {
        "rank_start": 1,
        "rank_end": 9,
        "negatives_per_query": 9,
        "relative_margin": None,
        "run": "bm25",
        "mask_above": None,
    }
    mined, counts = mine_rows(pairs, corpus, run, MiningSettings(**window, screen=True, teach="judge"), judge=lambda: judge, seed=1)
    first, second = mined
    assert (first.query, first.pos, first.pos_scores) == ("Sort  rows", ["join", "sort"], [0.0, 0.0])
    assert (first.neg, first.neg_scores) == (["mean", "parse"], [0.0, 0.0])  # solve and plot: above its documents
    assert (second.pos_scores, len(second.neg)) == ([5.0], 5)
    assert counts["scorer"] == 2
    silent = MiningSettings(**window, screen=False, teach="off")
    plain, _ = mine_rows(pairs, corpus, run, silent, judge=lambda: pytest.fail("nobody is asked"), seed=1)
    assert plain[0].neg_scores is None
    assert plain[0].masked == []


FUSED = {"mean": 1.0, "sort": 0.8, "join": 0.5, "solve": 0.48, "parse": 0.4}  # plot: in no arm's results


def mine_fused(corpus: list[Document], *, doc_id: str = "sort", **changes: Any) -> tuple[Any, dict[str, int], list[tuple[str, int]]]:
    values: dict[str, Any] = {"rank_start": 1, "rank_end": 9, "negatives_per_query": 9, "relative_margin": None, "run": "fusion"}
    values |= {"screen": False, "mask_above": None, "teach": "off"}
    asked: list[tuple[str, int]] = []

    def search(name: str, queries: Mapping[str, tuple[str, str]], depth: int) -> list[ScoredDoc]:
        asked.append((name, depth))
        scores = FUSED if name == "fusion" else {"plot": 9.0, "mean": 8.0, "sort": 7.0}
        return [ScoredDoc(key, found, score) for key in queries for found, score in scores.items()]

    pairs = [LabelledPair(query_id="q", text="order rows", doc_id=doc_id)]
    rows, counts = mine_rows(pairs, corpus, search, MiningSettings(**{**values, **changes}), judge=lambda: pytest.fail("asked"), seed=1)
    return rows[0], counts, asked


def test_documents_above_a_share_of_the_own_score_are_masked_and_no_negatives(corpus: list[Document]) -> None:
    """.6 * .8 = .48: mean (1) and join (.5) lie above it, solve (.48) does not."""
    row, counts, asked = mine_fused(corpus, mask_above=0.6)
    assert row.masked == ["mean", "join"]
    assert row.neg == ["solve", "parse"]
    assert (counts["mask"], counts["masked"]) == (2, 2)
    assert asked == [("fusion", 1000)]
    assert row.pos_scores is None


def test_masks_come_from_the_fused_run_whatever_run_the_negatives_are_of(corpus: list[Document]) -> None:
    row, _, asked = mine_fused(corpus, run="bm25", mask_above=0.6)
    assert (row.masked, row.neg) == (["mean", "join"], ["plot"])
    assert asked == [("fusion", 1000), ("bm25", 59)]


def test_the_fused_run_teaches_by_its_scores_of_masked_documents_too(corpus: list[Document]) -> None:
    """A document of another run that no arm finds has 0."""
    row, counts, _ = mine_fused(corpus, mask_above=0.6, teach="fusion")
    assert (row.neg, row.neg_scores) == (["mean", "join", "solve", "parse"], [1.0, 0.5, 0.48, 0.4])
    assert (row.pos_scores, row.masked, counts["mask"]) == ([0.8], ["mean", "join"], 0)
    row, _, _ = mine_fused(corpus, run="bm25", teach="fusion")
    assert (row.neg, row.neg_scores) == (["plot", "mean"], [0.0, 1.0])


def test_a_run_without_the_query_s_document_masks_nothing(corpus: list[Document]) -> None:
    row, counts, _ = mine_fused(corpus, doc_id="plot", mask_above=0.6, teach="fusion")
    assert (row.masked, counts["masked"], row.pos_scores) == ([], 0, [0.0])
    assert len(row.neg) == 5
    assert false_negatives({"a": 0.0, "b": 0.2}, {"a"}, 0.6) == []  # nor one whose score is 0


def test_of_several_documents_the_lowest_counts() -> None:
    """.5 * .6 = .3: c lies above it, d does not; a is the query's own."""
    assert false_negatives({"d": 0.3, "c": 0.31, "a": 1.0, "b": 0.6}, {"a", "b"}, 0.5) == ["c"]
    assert false_negatives({"c": 0.31, "a": 1.0}, {"a"}, None) == []
