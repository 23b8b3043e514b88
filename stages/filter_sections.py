"""Values of filters and of what is mined with them: runs, what a judge's scores decide."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from stages.sections import WindowParams
from tandem.filters.chain import Rule
from tandem.settings import CountOrZero, Depth, PositiveShare, Settings, Share

__all__ = ["FilterRunParams", "KeepRelevantParams", "MiningParams"]


class FilterRunParams(Settings):
    """Runs that filters look into, and the rules that ask them, in order."""

    depth: Depth
    """of a run; no rule may look beyond it"""
    candidates: CountOrZero
    """of bm25_sampled: other documents a query"""
    rules: list[Rule]

    @model_validator(mode="after")
    def _no_rule_beyond_its_run(self) -> Self:
        for number, rule in enumerate(self.rules):
            limit, key = (self.candidates + 1, "candidates + 1") if rule.run == "bm25_sampled" else (self.depth, "depth")
            if rule.k > limit:
                raise ValueError(f"rules.{number}.k: {rule.k} found, which the run does not reach; at most {key}, {limit}, is allowed")
        return self


class KeepRelevantParams(Settings):
    """Judged after the rules, on what they keep; with neither value nothing is judged."""

    threshold: Share | None
    """the least probability"""
    top_share: PositiveShare | None
    """of the queries kept so far, the most relevant"""


class MiningParams(WindowParams):
    """Where hard negatives come from, and what is left out; training draws from them anew in every pass."""

    run: Literal["off", "bm25", "dense", "retriever"]
    """dense: the filter's encoder; retriever: what every round starts from; off writes no negatives"""
    screen: bool
    """leave out what the judge of relevance puts above the query's document"""
    teach: bool
    """write the judge's logits, which train_retriever.distillation learns from"""
