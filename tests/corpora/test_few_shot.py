"""The labelled budget: drawn by seed, parted by query."""

from __future__ import annotations

from tandem.corpora.few_shot import BudgetSettings, budget, sample_pairs
from tandem.records import LabelledPair


def settings(*, pairs: int, seed: int) -> BudgetSettings:
    return BudgetSettings(pairs=pairs, dev_share=0.25, seed=seed)


def pair(number: int, query: int | None = None) -> LabelledPair:
    return LabelledPair(query_id=f"q{number if query is None else query}", text=f"text {number}", doc_id=f"d{number}")


def test_the_budget_is_drawn_by_pair_and_never_the_first_rows() -> None:
    pairs = [pair(i, i // 2) for i in range(200)]
    train, dev = sample_pairs(pairs, settings(pairs=40, seed=1))
    assert len(train) + len(dev) == 40
    assert {p.doc_id for p in [*train, *dev]} != {p.doc_id for p in pairs[:40]}
    assert not {p.query_id for p in train} & {p.query_id for p in dev}
    assert sample_pairs(list(reversed(pairs)), settings(pairs=40, seed=1)) == (train, dev)
    assert sample_pairs(pairs, settings(pairs=40, seed=2)) != (train, dev)
    assert budget(pairs) == {"pairs": 200, "queries": 100}


def test_zero_pairs_and_more_than_there_are() -> None:
    pairs = [pair(i) for i in range(4)]
    assert sample_pairs(pairs, settings(pairs=0, seed=1)) == ([], [])
    train, dev = sample_pairs(pairs, settings(pairs=99, seed=1))
    assert (len(train), len(dev)) == (3, 1)
