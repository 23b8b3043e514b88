"""The training set of a retriever of several tasks: rows of all steps in their order, each with a positive and negatives drawn anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tandem.retrievers.training.task_batches import order_batches
from tandem.retrievers.training.task_rows import KeyChoice, TaskRows
from tandem.retrievers.training.task_settings import TaskObjective, TaskTrainingSettings

__all__ = ["PADDING", "TaskSet", "build_task_set"]

PADDING = -1  # the group of a place that no key fills

Instruct = Callable[[str, str, str], str]
"""task, role (query or key) and text to what the encoder reads"""


@dataclass(frozen=True, slots=True)
class TaskSet:
    """Columns of rows (``query, key_1, ..., label``), the positive first, and what the loss knows of each row.

    A label is the row's number. By it ``tasks`` have the name, ``queries`` the number of the query, ``groups`` and ``scores`` those of its
    keys: :data:`PADDING` and NaN where the row has too few, NaN where the task has no teacher. A place without a key repeats the positive's
    text, for an empty one may have no token, and no loss sees it. ``relevant`` are groups by the number of the query.
    """

    columns: dict[str, list[str] | list[int]]
    tasks: list[str]
    queries: list[int]
    groups: list[list[int]]
    scores: list[list[float]]
    relevant: dict[int, set[int]]


def build_task_set(rows: TaskRows, settings: TaskTrainingSettings, *, instruct: Instruct, processes: int, seed: int) -> TaskSet:
    """The rows of all steps in the order of the steps, ``batch_size`` for each process one after the other.

    Args:
        rows: that are learnt from.
        settings: of the training.
        instruct: puts a task's instruction before a text.
        processes: that train together; all rows of a step are of one task, unless ``batches`` is off.
        seed: of batches and keys.

    Raises:
        SettingError: a task has too few rows for one batch.
    """
    objectives = {task: settings.of(task) for task in rows.rows}
    visits = {task: [*range(len(choices))] * objectives[task].copies for task, choices in rows.rows.items()}
    size = settings.batch_size * processes
    batches = order_batches(visits, settings.batches, size=size, number=settings.steps, seed=seed)
    width, rng = settings.keys_per_query, random.Random(f"keys:{seed}")
    text_columns: dict[str, list[str]] = {name: [] for name in ("query", *(f"key_{i + 1}" for i in range(width)))}
    task_set = TaskSet({}, [], [], [], [], rows.relevant)
    for task, place in (visit for batch in batches for visit in batch):
        choice = rows.rows[task][place]
        drawn = _draw_keys(choice, objectives[task], width, rng)
        keys, missing = [*choice.row.pos, *choice.row.neg], width - len(drawn)
        texts = [keys[i] for i in (*drawn, *drawn[:1] * missing)]
        content = (instruct(task, "query", choice.row.query), *(instruct(task, "key", text) for text in texts))
        for column, text in zip(text_columns.values(), content, strict=True):
            column.append(text)
        scores = choice.row.teacher_scores if objectives[task].taught else None
        task_set.tasks.append(task)
        task_set.queries.append(choice.query)
        task_set.groups.append([*(choice.groups[i] for i in drawn), *[PADDING] * missing])
        task_set.scores.append([*(scores[i] if scores else float("nan") for i in drawn), *[float("nan")] * missing])
    task_set.columns.update(text_columns, label=list(range(len(task_set.tasks))))
    return task_set


def _draw_keys(choice: KeyChoice, objective: TaskObjective, number: int, rng: random.Random) -> list[int]:
    """A positive and at most ``number - 1`` negatives, no key twice."""
    wanted = min(number - 1, len(choice.negatives))
    negatives = rng.sample(choice.negatives, wanted) if objective.select_negative == "random" else choice.negatives[:wanted]
    return [rng.choice(choice.positives), *negatives]
