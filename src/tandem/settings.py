"""What settings are made of: their base class, and numbers, every one bounded on both sides, finite, and of one name for one meaning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BatchSize",
    "Characters",
    "Coefficient",
    "Count",
    "CountOrZero",
    "Depth",
    "Epochs",
    "Layers",
    "LearningRate",
    "Level",
    "Logit",
    "OpenShare",
    "PositiveCoefficient",
    "PositiveShare",
    "PositiveTemperature",
    "Rank",
    "Resamples",
    "Seed",
    "SettingError",
    "Settings",
    "Share",
    "Steps",
    "StepsOrZero",
    "Temperature",
    "Tokens",
    "errors_about",
]


class Settings(BaseModel):
    """Values that belong together, of one module or of one stage: strict, frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class SettingError(ValueError):
    """A value within its bounds that does not fit what it meets, as more layers than a model has.

    The library knows the key within its settings; a stage finds these settings in params.yaml and names the whole key.

    Args:
        key: of the value, within its settings.
        problem: what was found, what is allowed, the remedy.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key, self.problem = key, problem
        self.settings: Settings | None = None


@contextmanager
def errors_about(settings: Settings) -> Iterator[None]:
    """Say of every :class:`SettingError` of this block that it is about these settings, unless it says so of others."""
    try:
        yield
    except SettingError as error:
        if error.settings is None:
            error.settings = settings
        raise


Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""of documents, queries, pairs"""
CountOrZero = Annotated[int, Field(ge=0, le=1_000_000_000)]
Depth = Annotated[int, Field(ge=1, le=1_000_000)]
"""of a run, and ranks in it"""
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
Steps = Annotated[int, Field(ge=1, le=100_000_000)]
StepsOrZero = Annotated[int, Field(ge=0, le=100_000_000)]
Epochs = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
Characters = Tokens
Layers = Annotated[int, Field(ge=1, le=1_000)]
Rank = Annotated[int, Field(ge=1, le=65_536)]
"""of an adapter, and its alpha"""
Resamples = Annotated[int, Field(ge=1, le=100_000_000)]
"""of randomisation tests and bootstraps"""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
LearningRate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
OpenShare = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
PositiveShare = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
"""of a test"""
Temperature = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
PositiveTemperature = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Coefficient = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""weights of losses and rewards, penalties, prices"""
PositiveCoefficient = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Logit = Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]
"""a score or a label of any sign"""
