"""Values of the comparison of generators: how many queries of what, and what is trained on them."""

from __future__ import annotations

from tandem.evaluation.significance import SignificanceSettings
from tandem.generators.prompts import PromptedSettings
from tandem.generators.queries import QuerySettings
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.generated import TrialTrainingSettings
from tandem.runtime.hardware import Precision
from tandem.runtime.rounds import RoundPlan, UpdatePlan
from tandem.settings import (
    Count,
    CountOrZero,
)

__all__ = ["TrialParams"]


class TrialParams(QuerySettings, PromptedSettings, SignificanceSettings):
    """How generators are compared."""

    sampled_documents: Count
    """drawn from those that no round wrote queries for"""
    examples: CountOrZero
    """of each round's queries, shown in full"""
    training: TrialTrainingSettings
    retriever: RetrieverSettings
    rounds: dict[str, RoundPlan]
    updates: dict[str, UpdatePlan]
    precision: Precision

    def parents(self) -> dict[str, str]:
        """The generator that each came from."""
        return {"g1": "base", **{name: update.base for name, update in self.updates.items()}}
