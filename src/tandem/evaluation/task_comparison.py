"""Retrievers of tasks in one table, a column a task, each tested against one of them; and which of them may be shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from tandem.evaluation.significance import Comparison, SignificanceSettings, compare, holm
from tandem.settings import Level, SettingError

__all__ = ["TaskChoice", "TaskCompareSettings", "TaskResult", "choose_retriever", "compare_tasks", "task_table"]

Values = Mapping[str, Mapping[str, Mapping[str, float]]]
"""a value of each query, by system and task"""


class TaskCompareSettings(SignificanceSettings):
    """What retrievers of tasks are tested against, and when one of them is taken."""

    baseline: str
    """the system that the others are tested against: untrained, bm25 or a retriever by its name"""
    alpha: Level
    """a retriever that is significantly worse than the baseline on the dev rows of one task, at this level, is not taken"""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One system on one task: its mean, and its paired test against the baseline; p is Holm-corrected over the systems of the task."""

    system: str
    task: str
    mean: float
    test: Comparison | None = None
    p_holm: float = 1.0

    def as_dict(self) -> dict[str, str | float | int]:
        """The row as JSON has it."""
        tested = {**asdict(self.test), "p_holm": self.p_holm} if self.test else {}
        return {"system": self.system, "task": self.task, "mean": self.mean, **tested}


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """The retriever that is taken; of every trained one its mean dev gain over tasks, and the tasks that speak against it."""

    chosen: str
    gains: dict[str, float]
    worse_on: dict[str, list[str]]


def compare_tasks(values: Values, settings: TaskCompareSettings) -> list[TaskResult]:
    """The results of every system on every task, in their order.

    Args:
        values: of test queries.
        settings: of the tests.

    Raises:
        SettingError: the baseline is none of the systems.
    """
    if settings.baseline not in values:
        raise SettingError("baseline", f"{settings.baseline!r} found, allowed: {', '.join(values)}")
    results = []
    for task, reference in values[settings.baseline].items():
        others = [name for name in values if name != settings.baseline and task in values[name]]
        tests = {name: compare(reference, values[name][task], settings) for name in others}
        corrected = dict(zip(tests, holm([test.p_randomisation for test in tests.values()]), strict=True))
        results += [
            TaskResult(name, task, fmean(tasks[task].values()), tests.get(name), corrected.get(name, 1.0))
            for name, tasks in values.items()
            if task in tasks
        ]
    return sorted(results, key=lambda result: list(values).index(result.system))


def choose_retriever(dev: Values, trained: Sequence[str], settings: TaskCompareSettings) -> TaskChoice:
    """The trained retriever with the highest mean dev gain over tasks, among those that are significantly worse on none; or the baseline.

    Args:
        dev: values of dev rows, by system and task.
        trained: names that may be taken.
        settings: of the tests.
    """
    reference = dev[settings.baseline]
    gains, worse_on = {}, {}
    for name in trained:
        tests = {task: compare(values, dev[name][task], settings) for task, values in reference.items() if values}
        gains[name] = fmean(test.difference for test in tests.values()) if tests else 0.0
        worse_on[name] = [task for task, test in tests.items() if test.difference < 0 and test.p_randomisation < settings.alpha]
    allowed = [name for name in trained if not worse_on[name] and gains[name] > 0]
    return TaskChoice(max(allowed, key=gains.__getitem__, default=settings.baseline), gains, worse_on)


def task_table(results: Sequence[TaskResult], measures: Mapping[str, str]) -> str:
    """Markdown: a row a system, a column a task with the measure that it has; * where p is below .05, after the difference.

    Args:
        results: from :func:`compare_tasks`.
        measures: name of each task's measure.
    """
    tasks = list(dict.fromkeys(result.task for result in results))
    cells = {(result.system, result.task): _cell(result) for result in results}
    lines = ["| system | " + " | ".join(f"{task} ({measures[task]})" for task in tasks) + " |", "|" + "---|" * (len(tasks) + 1)]
    systems = list(dict.fromkeys(result.system for result in results))
    lines += [f"| {system} | " + " | ".join(cells.get((system, task), "") for task in tasks) + " |" for system in systems]
    note = "In brackets: difference to the baseline; *: Holm-corrected p of the paired randomisation test below .05."
    return "\n".join([*lines, "", note, ""])


def _cell(result: TaskResult) -> str:
    if result.test is None:
        return f"{result.mean:.3f}"
    return f"{result.mean:.3f} ({result.test.difference:+.3f}{'*' if result.p_holm < 0.05 else ''})"
