"""Which rows of a task are learnt from, and which of their keys: what is the same in every pass, before anything is drawn."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tandem.records import TaskRow
from tandem.retrievers.training.task_settings import TaskObjective, TaskTrainingSettings
from tandem.settings import SettingError
from tandem.text import normalize_query

__all__ = ["KeyChoice", "TaskRows", "count_left_out", "select_rows"]


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """A row and the places of its keys, pos then neg, that may be drawn.

    Args:
        row: of the task's file.
        query: number of its query; two rows of a task with the same query have one.
        groups: of each key: keys of the same text or of the same place in the corpus are one.
        positives: places of keys, one of which is drawn.
        negatives: places of keys in the order of choice; none is relevant to the query, and no two are the same.
    """

    row: TaskRow
    query: int
    groups: list[int]
    positives: list[int]
    negatives: list[int]


@dataclass(frozen=True, slots=True)
class TaskRows:
    """The rows that are learnt from.

    ``rows`` are by task, ``relevant`` the groups of keys that are relevant to a query, by its number. ``left_out`` counts by task the rows
    that a setting (``teacher_scores_min``, ``teacher_scores_margin``, ``max_rows``) or the lack of a negative (``negatives``) left out.
    """

    rows: dict[str, list[KeyChoice]]
    relevant: dict[int, set[int]]
    left_out: dict[str, dict[str, int]]


def select_rows(rows_by_task: Mapping[str, Sequence[TaskRow]], settings: TaskTrainingSettings, *, seed: int) -> TaskRows:
    """The rows that the teacher's rules and the numbers asked for leave, with the keys that may be drawn.

    Args:
        rows_by_task: training rows; those of one task may come from several files.
        settings: of the training.
        seed: of the rows that ``max_rows`` keeps.

    Raises:
        ValueError: a row stands among those of another task.
        SettingError: there are overrides for a task that is not there; a row has no teacher's scores though a setting reads them, or no
            pos though one of them is asked for; or no row of a task is left.
    """
    if unknown := set(settings.overrides) - set(rows_by_task):
        raise SettingError("overrides", f"{min(unknown)} found, allowed are the tasks of the rows: {', '.join(sorted(rows_by_task))}")
    objectives = {task: settings.of(task) for task, rows in sorted(rows_by_task.items()) if rows}
    left_out: dict[str, Counter[str]] = {task: Counter() for task in objectives}
    passed: dict[str, list[TaskRow]] = {}
    for task, objective in objectives.items():
        _require_keys_and_scores(task, rows_by_task[task], objective)
        passed[task] = [row for row in rows_by_task[task] if _passes(row, objective, left_out[task])]
    choices, relevant = _number_rows(passed, objectives)
    usable: dict[str, list[KeyChoice]] = {}
    for task, objective in objectives.items():
        for choice in choices[task]:
            choice.negatives.extend(_negatives(choice, objective, relevant[choice.query]))
        with_negatives = [choice for choice in choices[task] if choice.negatives]
        left_out[task]["negatives"] += len(choices[task]) - len(with_negatives)
        usable[task] = _limit(with_negatives, objective, f"{task}:{seed}", left_out[task])
        _require_rows(task, usable[task], len(rows_by_task[task]), left_out[task])
    return TaskRows(usable, relevant, {task: dict(+counts) for task, counts in left_out.items()})


def count_left_out(rows_by_task: Mapping[str, Sequence[TaskRow]], settings: TaskTrainingSettings, *, seed: int) -> dict[str, int]:
    """How many rows are learnt from, and how many each rule leaves out, as ``qa/rows`` and ``qa/left_out/negatives``."""
    selected = select_rows(rows_by_task, settings, seed=seed)
    counts = {f"{task}/rows": len(rows) for task, rows in selected.rows.items()}
    return counts | {f"{task}/left_out/{rule}": count for task, rules in selected.left_out.items() for rule, count in rules.items()}


def _require_keys_and_scores(task: str, rows: Sequence[TaskRow], objective: TaskObjective) -> None:
    for row in rows:
        if row.task != task:
            raise ValueError(f"row {row.query_id} is of task {row.task}, but stands among those of {task}; group rows by their task")
        if row.teacher_scores is None and objective.teacher_readers:
            name, value = next(iter(objective.teacher_readers.items()))
            problem = f"{value} found, but row {row.query_id} of task {task} has no teacher_scores; score the rows first, or set another"
            raise SettingError(name, problem)
        if not row.pos and objective.select_positive != "teacher":
            problem = f"{objective.select_positive} found, but row {row.query_id} of task {task} has no pos; set teacher, or leave it out"
            raise SettingError("select_positive", problem)


def _number_rows(
    rows_by_task: Mapping[str, Sequence[TaskRow]], objectives: Mapping[str, TaskObjective]
) -> tuple[dict[str, list[KeyChoice]], dict[int, set[int]]]:
    """Rows with the numbers of their queries and keys, without negatives yet, and the groups that are relevant, by query."""
    groups = iter(_group_keys([row for rows in rows_by_task.values() for row in rows]))
    numbers: dict[tuple[str, str], int] = {}
    relevant: dict[int, set[int]] = {}
    choices: dict[str, list[KeyChoice]] = {}
    for task, rows in rows_by_task.items():
        choices[task] = []
        for row in rows:
            choice = KeyChoice(
                row,
                query=numbers.setdefault((task, normalize_query(row.query)), len(numbers)),
                groups=next(groups),
                positives=_positives(row, objectives[task]),
                negatives=[],
            )
            places = (*range(len(row.pos)), *choice.positives)
            relevant.setdefault(choice.query, set()).update(choice.groups[place] for place in places)
            choices[task].append(choice)
    return choices, relevant


def _passes(row: TaskRow, objective: TaskObjective, left_out: Counter[str]) -> bool:
    """Whether a row has a negative, and scores that every rule lets pass; it is counted under the one that does not."""
    if not row.neg:
        left_out["negatives"] += 1
        return False
    scores = row.teacher_scores
    if scores is None:
        return True
    if objective.teacher_scores_min is not None and max(scores) < objective.teacher_scores_min:
        left_out["teacher_scores_min"] += 1
        return False
    if objective.teacher_scores_margin is not None and max(scores) - min(scores) < objective.teacher_scores_margin:
        left_out["teacher_scores_margin"] += 1
        return False
    return True


def _require_rows(task: str, rows: Sequence[KeyChoice], given: int, left_out: Counter[str]) -> None:
    if rows:
        return
    rule, count = left_out.most_common(1)[0]
    remedy = "give them keys that are not relevant" if rule == "negatives" else "lower it, or set null"
    raise SettingError(rule, f"leaves out {count} of the {given} rows of task {task}, and none stays; {remedy}")


def _limit(choices: list[KeyChoice], objective: TaskObjective, seed: str, left_out: Counter[str]) -> list[KeyChoice]:
    if objective.max_rows is None or len(choices) <= objective.max_rows:
        return choices
    left_out["max_rows"] += len(choices) - objective.max_rows
    kept = sorted(random.Random(f"rows:{seed}").sample(range(len(choices)), objective.max_rows))
    return [choices[place] for place in kept]


def _positives(row: TaskRow, objective: TaskObjective) -> list[int]:
    """Places of the keys of which a visit draws one."""
    if objective.select_positive == "first":
        return [0]
    if objective.select_positive == "random":
        return list(range(len(row.pos)))
    scores = row.teacher_scores or []
    among = scores if objective.select_positive == "teacher" else scores[: len(row.pos)]
    return [max(range(len(among)), key=among.__getitem__)]


def _negatives(choice: KeyChoice, objective: TaskObjective, relevant: set[int]) -> list[int]:
    """Places of neg, each group once, none of them relevant, in the order of choice."""
    row, places = choice.row, list(range(len(choice.row.pos), len(choice.groups)))
    if objective.select_negative.startswith("teacher") and row.teacher_scores is not None:
        places.sort(key=row.teacher_scores.__getitem__, reverse=objective.select_negative == "teacher_high")
    first: dict[int, int] = {}
    for place in places:
        if choice.groups[place] not in relevant:
            first.setdefault(choice.groups[place], place)
    return list(first.values())


def _group_keys(rows: Iterable[TaskRow]) -> list[list[int]]:
    """The group of every key of every row: what has the same text, or the same place in a task's corpus, is in the same group."""
    parents: dict[Hashable, Any] = {}

    def root(node: Hashable) -> Hashable:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    by_row = []
    for row in rows:
        texts = [normalize_query(key) for key in (*row.pos, *row.neg)]
        none: list[int | None] = [None]
        places = [*(row.pos_index or none * len(row.pos)), *(row.neg_index or none * len(row.neg))]
        for text, place in zip(texts, places, strict=True):
            top = root(text)
            if place is not None:
                parents[root((row.task, place))] = top
        by_row.append(texts)
    numbers: dict[Hashable, int] = {}
    return [[numbers.setdefault(root(text), len(numbers)) for text in texts] for texts in by_row]
