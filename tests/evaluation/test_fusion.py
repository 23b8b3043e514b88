"""Fused systems: weights chosen on dev pairs alone, dev values that do not flatter, arms that change nothing."""

from __future__ import annotations

import pytest
from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.fusion import DevGrid, FusionSettings, check_arms, contributions, fuse_system
from tandem.evaluation.weight_grid import ScaledRuns
from tandem.settings import SettingError

SETTINGS = FusionSettings(arms=["bm25", "dense"], method="min_max", weights="dev", depth=10)
QUERIES = [f"q{i:02d}" for i in range(20)]


def run(first: str, second: str) -> list[ScoredDoc]:
    """Every query finds one document before another."""
    return [ScoredDoc(query_id, doc_id, score) for query_id in QUERIES for doc_id, score in ((first, 2.0), (second, 1.0), ("z", 0.0))]


GOOD, POOR = run("a", "b"), run("b", "a")
PAIRS = [(query_id, "a") for query_id in QUERIES]
QRELS = {name: [Qrel(query_id, "a", 1) for query_id in QUERIES] for name in ("test", "dev", "guard")}
ARMS = {"bm25": dict.fromkeys(QRELS, GOOD), "dense": dict.fromkeys(QRELS, POOR)}


def test_the_better_arm_gets_the_larger_share() -> None:
    weights = DevGrid({"bm25": GOOD, "dense": POOR}, PAIRS, method="min_max").choose()
    assert weights["bm25"] > weights["dense"]
    assert sum(weights.values()) == pytest.approx(1.0)


def test_equal_shares_stay_where_dev_says_little() -> None:
    assert DevGrid({"bm25": GOOD, "dense": GOOD}, PAIRS, method="min_max").choose() == {"bm25": 0.5, "dense": 0.5}
    assert DevGrid({"bm25": GOOD, "dense": POOR}, [], method="min_max").choose() == {"bm25": 0.5, "dense": 0.5}
    # One query in twenty is better with another share: less than a standard error.
    mixed = [*POOR[:3], *GOOD[3:]]
    assert DevGrid({"bm25": GOOD, "dense": mixed}, PAIRS, method="min_max").choose()["bm25"] == 0.5


def test_judgements_of_the_test_set_choose_nothing() -> None:
    """The stage that fuses reads them, to measure; other ones leave the weights, the runs and the dev values as they were."""
    first = fuse_system(ARMS, QRELS, SETTINGS)
    other = fuse_system(ARMS, {**QRELS, "test": [Qrel(query_id, "b", 1) for query_id in QUERIES]}, SETTINGS)
    assert (first.weights, first.runs, first.values["dev"]) == (other.weights, other.runs, other.values["dev"])
    assert first.values["test"] != other.values["test"]
    assert first.values["dev"]["ndcg_at_10"] == dict.fromkeys(QUERIES, 1.0)


def test_equal_weights_where_they_are_asked_for_or_dev_is_empty() -> None:
    for settings, qrels in ((SETTINGS.model_copy(update={"weights": "equal"}), QRELS), (SETTINGS, {**QRELS, "dev": []})):
        assert fuse_system(ARMS, qrels, settings).weights == {"bm25": 0.5, "dense": 0.5}


def test_an_arm_that_changes_nothing_is_an_error() -> None:
    assert contributions({"bm25": GOOD, "dense": POOR}, GOOD) == {"bm25": 1.0, "dense": 1.0}
    for arms in ({"bm25": GOOD, "dense": POOR}, {"bm25": GOOD}, {"bm25": [], "dense": []}):
        check_arms(ScaledRuns(arms, method="min_max"))
    with pytest.raises(SettingError, match=r"^arms: '\w+' found, which changes no query's first 10 results; leave it out"):
        check_arms(ScaledRuns({"bm25": GOOD, "dense": GOOD}, method="min_max"))
