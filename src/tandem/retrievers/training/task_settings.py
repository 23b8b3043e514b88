"""How a retriever of several tasks is trained: what each task learns by, and how batches are made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from tandem.runtime.training import StepSettings
from tandem.settings import Coefficient, Count, Logit, PositiveTemperature, SettingError, Settings, Share, Steps

__all__ = ["Batches", "TaskObjective", "TaskRetrieverPlan", "TaskTrainingSettings"]

Batches = Literal["epoch", "epoch_static", "random", "epoch_random", "off"]


class TaskObjective(Settings):
    """What the rows of a task are, and what they are learnt by."""

    contrastive_weight: Coefficient
    """of InfoNCE over the keys of all rows of a batch; 0 learns from the teacher alone"""
    distillation: Literal["off", "kl", "graded", "graded_uniform"]
    """off; kl over a row's own keys; graded, one cross-entropy a rank over the row's keys of lower rank and all other rows' keys,
    weighted by the teacher; graded_uniform, the same with equal weights, which reads the teacher's order alone"""
    distillation_weight: Coefficient
    """of the distillation loss"""
    teacher_temperature: PositiveTemperature
    """that the teacher's scores are divided by; it belongs to the scale of the scores"""
    student_temperature: PositiveTemperature
    """that similarities are divided by for distillation, beside temperature"""
    temperature: PositiveTemperature
    """that similarities are divided by, cosine and dot product alike"""
    select_positive: Literal["first", "random", "teacher", "teacher_pos"]
    """first or random of pos; teacher, the highest of pos and neg by the teacher's scores; teacher_pos, of pos"""
    select_negative: Literal["random", "first", "teacher_high", "teacher_low"]
    """random or first of neg; those of the highest or of the lowest teacher's scores"""
    teacher_scores_margin: Coefficient | None
    """rows whose highest and lowest teacher's scores are nearer to each other are left out; null keeps them"""
    teacher_scores_min: Logit | None
    """rows whose highest teacher's score is below it are left out; null keeps them"""
    max_rows: Count | None
    """rows of a task at most, drawn by seed; null takes all"""
    copies: Count
    """visits of a row in a pass over the data"""

    @property
    def taught(self) -> bool:
        """Whether there is a teacher to learn from."""
        return self.distillation != "off" and self.distillation_weight > 0

    @property
    def teacher_readers(self) -> dict[str, str | float]:
        """The settings that need a teacher's scores of every row, with their values."""
        rules = {"teacher_scores_margin": self.teacher_scores_margin, "teacher_scores_min": self.teacher_scores_min}
        choices = {"select_positive": self.select_positive, "select_negative": self.select_negative}
        return {
            **({"distillation": self.distillation} if self.taught else {}),
            **{name: value for name, value in choices.items() if value.startswith("teacher")},
            **{name: value for name, value in rules.items() if value is not None},
        }

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.contrastive_weight and not self.taught:
            raise ValueError(
                f"contrastive_weight: 0 found with distillation {self.distillation} of weight {self.distillation_weight:g}, "
                "which leaves no loss; set it above 0, or distil with a weight above 0"
            )
        return self


class TaskTrainingSettings(StepSettings, TaskObjective):
    """Training of a retriever of one or several tasks; batch_size rows of keys_per_query keys a step and device."""

    keys_per_query: Annotated[int, Field(ge=2, le=65_536)]
    """a positive and negatives; a row with fewer is filled up with masked places"""
    batches: Batches
    """of one task each: epoch, parted anew in every pass; epoch_static, parted once, the batches' order drawn anew; random, a task by its
    number of rows and rows of it; epoch_random, the same with no row twice in a pass. off: batches of all tasks mixed"""
    cross_process_negatives: bool
    """keys of all processes' rows count, as if they were one batch"""
    warmup_ratio: Share
    """of the steps"""
    evaluations: Steps
    """dev scores, evenly spaced; the last checkpoint stays unless it is a standard error worse than the best"""
    overrides: dict[str, dict[str, JsonValue]]
    """by task, what is different there, of the settings from contrastive_weight to copies"""

    def of(self, task: str) -> TaskObjective:
        """What a task learns by."""
        return TaskObjective.model_validate({**self._shared(), **self.overrides.get(task, {})})

    def for_retriever(self, plan: TaskRetrieverPlan) -> TaskTrainingSettings:
        """The settings of one retriever: with its changes, and without overrides of tasks that it does not learn.

        Raises:
            SettingError: a key that there is not, or a value out of bounds.
        """
        try:
            whole = TaskTrainingSettings.model_validate({**self.model_dump(include=set(TaskTrainingSettings.model_fields)), **plan.changes})
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{first['input']!r:.60} found: {first['msg'].removeprefix('Value error, ')}"
            raise SettingError("changes", f"{'.'.join(map(str, first['loc']))}: {problem}") from None
        return whole.model_copy(update={"overrides": {task: values for task, values in whole.overrides.items() if task in plan.tasks}})

    def _shared(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in TaskObjective.model_fields}

    @model_validator(mode="after")
    def _overrides_fit(self) -> Self:
        for task in self.overrides:
            try:
                self.of(task)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(("overrides", task, *map(str, first["loc"])))
                message = first["msg"].removeprefix("Value error, ")
                raise ValueError(f"{place}: {message}") from None
        return self


class TaskRetrieverPlan(Settings):
    """One of a recipe's retrievers: what it learns, and how that differs from what all learn by."""

    tasks: list[str]
    """whose rows it is trained on"""
    instructions: bool
    """false: it reads queries and keys bare, in training and in search"""
    changes: dict[str, JsonValue]
    """keys of train_task_retriever with other values"""
