"""What each round's retriever cost to train: minutes of all stages that it depends on, and generated queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tandem.reporting.stage_records import StageRecord
from tandem.runtime.rounds import RoundPlan, UpdatePlan

__all__ = ["Cost", "costs"]

OF_QUERIES = ("generate_queries", "filter_queries", "select_queries")
OF_RETRIEVER = ("mine_negatives", "train_retriever")
OF_UPDATE = ("score_difficulty", "build_preferences", "train_reward_model", "improve_generator")
OF_FILTERS = ("train_filter_encoder", "prepare_ranking", "train_reranker")


class Cost(NamedTuple):
    """Training cost of a retriever; ``queries`` are counted before the filters."""

    minutes: float
    queries: int


def costs(records: Sequence[StageRecord], rounds: Mapping[str, RoundPlan], updates: Mapping[str, UpdatePlan]) -> dict[str, Cost]:
    """The cost of each round's retriever: its stages, those of the round before it, of its filters, and of its generator's lineage.

    Args:
        records: of all stages.
        rounds: the pipeline's.
        updates: the pipeline's.
    """
    ledger = _Ledger(records, rounds, updates)
    generated = {record.round: int(record.metrics["generated"]) for record in records if record.stage == "filter_queries"}
    by_round = {}
    for name in ["r0", *rounds]:
        previous = rounds[name].prev if name in rounds else ""
        seconds = sum(ledger.of_round(name).values())
        by_round[name] = Cost(seconds / 60, generated.get(name, 0) + generated.get(previous, 0))
    return by_round


class _Ledger:
    """Seconds by what they were spent on, so that what two rounds share is counted once."""

    def __init__(self, records: Sequence[StageRecord], rounds: Mapping[str, RoundPlan], updates: Mapping[str, UpdatePlan]) -> None:
        self.rounds, self.updates = rounds, updates
        self.seconds: dict[tuple[str, str], float] = {}
        for record in records:
            key = record.stage, record.instance or record.round
            self.seconds[key] = self.seconds.get(key, 0.0) + record.metrics["system/seconds"]

    def spent(self, stages: Sequence[str], instance: str) -> float:
        return sum(self.seconds.get((stage, instance), 0.0) for stage in stages)

    def of_generator(self, name: str) -> dict[str, float]:
        if name not in self.updates:
            return {"train_generator": self.spent(["train_generator"], "")}
        update = self.updates[name]
        return {**self.of_generator(update.base), **self.of_round(update.round), name: self.spent(OF_UPDATE, name)}

    def of_round(self, name: str) -> dict[str, float]:
        spent = {name: self.spent(OF_RETRIEVER, name)}
        if name in self.rounds:
            spent[name] += self.spent(OF_QUERIES, name)
            spent |= self.of_generator(self.rounds[name].generator)
            previous = self.rounds[name].prev
            spent |= {previous: self.of_round(previous)[previous]} if previous in self.rounds else {}
            spent["filters"] = self.spent(OF_FILTERS, "")
        return spent
