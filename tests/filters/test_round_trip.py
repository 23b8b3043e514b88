"""Round-trip filtering: ranks, ties, near duplicates, status and funnel."""

from __future__ import annotations

from ir_measures import ScoredDoc

from tandem.filters.chain import ChainSettings, Rule, filter_rows, keep_rate
from tandem.filters.round_trip import apply_rule, apply_shape_rule, document_ranks, funnel
from tandem.records import Document, LabelledPair, PseudoQuery

GROUPS = {"a": 0, "b": 1, "c": 2, "a2": 0}


def run(**scores: float) -> list[ScoredDoc]:
    return [ScoredDoc("q", doc_id, score) for doc_id, score in scores.items()]


def rank(**scores: float) -> int | None:
    found = document_ranks({"q": "a"}, run(**scores), GROUPS)
    return found["q"][0] if found else None


def test_ranks() -> None:
    assert rank(a=3, b=2, c=1) == 1
    assert rank(b=3, a=2, c=1) == 2
    assert rank(b=3, c=2) is None


def test_ties_count_against_the_document() -> None:
    assert rank(a=2, b=2, c=1) == 2
    assert rank(b=2, c=2, a=2) == 3


def test_near_duplicates_do_not_compete() -> None:
    assert rank(a2=3, a=2, b=1) == 1
    assert rank(a2=3, b=3, a=2) == 2


def rows(*texts: str) -> list[PseudoQuery]:
    return [PseudoQuery(query_id=f"{i}", text=text, doc_id="a") for i, text in enumerate(texts)]


def test_a_rule_keeps_rejects_and_never_deletes() -> None:
    first = apply_rule(rows("one", "two", "three"), {"0": (1, 5.0), "1": (3, 4.0)}, name="bm25", k=2)
    assert [(r.status, r.reason) for r in first] == [("kept", ""), ("rejected", "bm25"), ("rejected", "bm25")]
    second = apply_rule(first, {"0": (9, 0.1), "1": (1, 0.9)}, name="dense", k=2)
    assert [(r.status, r.reason) for r in second] == [
        ("rejected", "dense"),
        ("rejected", "bm25"),
        ("rejected", "bm25"),
    ]
    assert second[1].ranks == {"bm25": 3, "dense": 1}
    assert second[0].scores == {"bm25": 5.0, "dense": 0.1}


def test_shape() -> None:
    marked = apply_shape_rule(rows("a b", "A  B", "a", "a b c d"), min_words=2, max_words=3)
    assert [r.reason for r in marked] == ["", "duplicate", "length", "length"]


def test_funnel_counts_every_row_once() -> None:
    marked = apply_rule(apply_shape_rule(rows("a b", "a b", "c d"), min_words=2, max_words=3), {"0": (1, 1.0)}, name="bm25", k=1)
    steps = funnel(marked, ["duplicate", "length", "bm25"])
    assert [step["left"] for step in steps] == [3, 2, 2, 1]


def search(name: str, queries: dict[str, tuple[str, str]]) -> list[ScoredDoc]:
    """A run that finds every query's own document first, but for texts that say 'lost'."""
    return [ScoredDoc(q, d if "lost" not in text else "c", 1.0) for q, (text, d) in queries.items()]


def test_chain_and_the_keep_rate_of_real_pairs() -> None:
    corpus = [Document(doc_id=i, text=i) for i in ("a", "b", "c")]
    chain = ChainSettings(rules=[Rule(run="bm25", k=1)], min_words=1, max_words=9)
    marked, steps, _ = filter_rows(rows("find me", "lost here"), corpus, search, chain)
    assert [r.status for r in marked] == ["kept", "rejected"]
    assert steps[0] == {"filter": "generated", "left": 2}
    assert steps[-1] == {"filter": "bm25", "left": 1}
    real = [LabelledPair(query_id="1", text="find", doc_id="b"), LabelledPair(query_id="2", text="lost", doc_id="a")]
    rates = keep_rate(real, corpus, search, chain)
    assert rates == {"real_keep_rate": 0.5, "real_kept_after_bm25": 0.5}
    assert keep_rate([], corpus, search, chain) == {}


def test_without_rules_every_usable_row_stays() -> None:
    nothing = ChainSettings(rules=[], min_words=1, max_words=9)
    marked, *_ = filter_rows(rows("one two", ""), [Document(doc_id="a", text="a")], search, nothing)
    assert [r.status for r in marked] == ["kept", "rejected"]
