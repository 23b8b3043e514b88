"""Rounds of the loop and updates of its generator, as params.yaml plans them: each names what it starts from and may change settings."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, JsonValue

from tandem.settings import Settings

__all__ = ["FIRST_GENERATOR", "FIRST_ROUND", "RoundPlan", "UpdatePlan", "generator_parents", "trace_rounds"]

FIRST_ROUND = "r0"
"""what every pipeline starts with: the retriever of the labelled pairs alone"""
FIRST_GENERATOR = "g1"
"""what every pipeline starts with: the generator fine-tuned on the labelled pairs"""


class _Plan(Settings):
    """An entry of the plan; every key beside its fields overrides a setting of its stages."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    @property
    def overrides(self) -> dict[str, JsonValue]:
        """Settings that this entry alone changes, by key of a stage's section or by stage; see :mod:`tandem.runtime.plan`."""
        return dict(self.__pydantic_extra__)


class RoundPlan(_Plan):
    """A round: it trains a retriever on one generator's queries."""

    prev: str
    """the round before, whose kept queries it trains on too"""
    generator: str
    """whose queries it trains on"""


class UpdatePlan(_Plan):
    """An update: it makes the next generator."""

    base: str
    """the generator that it starts from"""
    round: str
    """the round whose queries and retriever it learns from"""


def trace_rounds(rounds: Mapping[str, RoundPlan], name: str) -> list[str]:
    """A round and those before it, the first one first."""
    chain = [name]
    while chain[-1] in rounds and rounds[chain[-1]].prev not in chain:
        chain.append(rounds[chain[-1]].prev)
    return chain[::-1]


def generator_parents(updates: Mapping[str, UpdatePlan]) -> dict[str, str]:
    """The generator that each came from, in order; the first one came from the base model."""
    return {FIRST_GENERATOR: "base", **{name: update.base for name, update in updates.items()}}
