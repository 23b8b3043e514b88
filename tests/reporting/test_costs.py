"""What a round's retriever cost, by hand."""

from __future__ import annotations

from report_records import ROUNDS, UPDATES, record

from tandem.reporting.costs import Cost, costs


def test_what_a_round_cost() -> None:
    """A minute each. r0: training. r1: training, filtering and generating, the generator's training, the filter's encoder: 5.

    r2: the same 3 stages, 3 of round 1, PPO, the fine-tuned generator, the filter's encoder: 9; and the queries of both rounds.
    """
    records = [record("train_retriever", name) for name in ("r0", "r1", "r2")]
    records += [record("generate_queries", name) for name in ROUNDS]
    records += [record("filter_queries", name, generated=7) for name in ROUNDS]
    records += [record("train_generator"), record("train_filter_encoder"), record("improve_generator", "r1", instance="g2")]
    records += [record("evaluate_retriever", "r1"), record("compare_rounds")]  # measuring is no cost of training
    assert costs(records, ROUNDS, UPDATES) == {"r0": Cost(1.0, 0), "r1": Cost(5.0, 7), "r2": Cost(9.0, 14)}
