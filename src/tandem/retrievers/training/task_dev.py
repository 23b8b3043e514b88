"""Dev scores of a retriever of several tasks: how well it orders each dev row's keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ir_measures import ScoredDoc

from tandem.records import TaskRow
from tandem.retrievers.task_search import TaskSearch
from tandem.retrievers.training.pairs import Measure

__all__ = ["dev_by_task", "dev_values", "relevant_places"]


def relevant_places(row: TaskRow) -> list[int]:
    """Places among ``pos`` and ``neg`` of the keys to find: ``pos``, or where there is none, the best ones by the teacher."""
    if row.pos:
        return list(range(len(row.pos)))
    scores = row.teacher_scores or []
    return [place for place, score in enumerate(scores) if score == max(scores)] if len(set(scores)) > 1 else []


def dev_values(rows_by_task: Mapping[str, Sequence[TaskRow]], retriever: TaskSearch, measure: Measure) -> list[float]:
    """A value for each dev row that has a key to find and one to leave, task after task; see :func:`dev_by_task`."""
    return [value for values in dev_by_task(rows_by_task, retriever, measure).values() for value in values.values()]


def dev_by_task(rows_by_task: Mapping[str, Sequence[TaskRow]], retriever: TaskSearch, measure: Measure) -> dict[str, dict[str, float]]:
    """The value of each dev row that has a key to find and one to leave, by task and row, a row by its number in six digits.

    Args:
        rows_by_task: dev rows.
        retriever: that orders their keys.
        measure: of pairs of ids and a run.
    """
    values: dict[str, dict[str, float]] = {}
    for task, rows in rows_by_task.items():
        wanted = {f"{number:06d}": relevant_places(row) for number, row in enumerate(rows)}
        usable = {number: row for number, row in zip(wanted, rows, strict=True) if 0 < len(wanted[number]) < len(row.pos) + len(row.neg)}
        if not usable:
            continue
        scores = retriever.scores(task, [row.query for row in usable.values()], [[*row.pos, *row.neg] for row in usable.values()])
        run = [
            ScoredDoc(number, str(place), score) for number, given in zip(usable, scores, strict=True) for place, score in enumerate(given)
        ]
        pairs = [(number, str(place)) for number in usable for place in wanted[number]]
        values[task] = dict(zip(sorted(usable), measure(pairs, run), strict=True))
    return values
