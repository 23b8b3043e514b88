"""Values of the comparison of generators: how many queries of what, and what is trained on them."""

from __future__ import annotations

from stages.sections import PromptedParams, RetrieverParams, SamplingParams
from tandem.runtime.hardware import Precision
from tandem.runtime.rounds import RoundPlan, UpdatePlan
from tandem.settings import (
    BatchSize,
    Count,
    CountOrZero,
    LearningRate,
    PositiveTemperature,
    Resamples,
    Seed,
    Settings,
    Share,
    Steps,
    Tokens,
)

__all__ = ["TrainingTrialParams", "TrialParams"]


class TrainingTrialParams(Settings):
    """The retriever that learns from equal numbers of each generator's queries."""

    queries: CountOrZero
    """of each generator, at most; 0 trains none"""
    steps: Steps
    batch_size: BatchSize
    negatives: CountOrZero
    learning_rate: LearningRate
    warmup_ratio: Share
    temperature: PositiveTemperature
    training_document_tokens: Tokens | None


class TrialParams(SamplingParams, PromptedParams):
    """How generators are compared."""

    sampled_documents: Count
    """drawn from those that no round wrote queries for"""
    examples: CountOrZero
    """of each round's queries, shown in full"""
    resamples: Resamples
    training: TrainingTrialParams
    retriever: RetrieverParams
    rounds: dict[str, RoundPlan]
    updates: dict[str, UpdatePlan]
    precision: Precision
    seed: Seed

    def parents(self) -> dict[str, str]:
        """The generator that each came from."""
        return {"g1": "base", **{name: update.base for name, update in self.updates.items()}}
