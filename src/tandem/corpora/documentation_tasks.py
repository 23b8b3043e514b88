"""LLM-Embedder's six tasks from the documentation of installed packages: small, real, and the same bytes for the same packages and seed.

A package is in one split alone, with its keys and its rows, and what nearly repeats an object of an earlier split is left out: nothing that
is measured with was trained on, as a query, a key or a negative.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from tandem.corpora.documentation_rows import (
    RowSettings,
    TaskItem,
    TaskPart,
    build_chat,
    build_icl,
    build_lrlm,
    build_qa,
    build_tool,
)
from tandem.corpora.documentation_talks import build_convsearch
from tandem.corpora.documented_objects import DocumentedObject, read_objects
from tandem.corpora.near_duplicates import duplicate_groups
from tandem.records import TaskQuery, TaskRow
from tandem.settings import Count, PositiveShare, SettingError, Settings
from tandem.text import normalize_query

__all__ = ["SPLITS", "TASKS", "DocumentationSettings", "Split", "TaskData", "build_tasks"]

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Builder = Callable[[Sequence[DocumentedObject], int, RowSettings, random.Random], TaskPart]
TASKS: dict[str, Builder] = {
    "qa": build_qa,
    "convsearch": build_convsearch,
    "chat": build_chat,
    "lrlm": build_lrlm,
    "icl": build_icl,
    "tool": build_tool,
}
Packages = list[str]


class DocumentationSettings(Settings):
    """Which packages the tasks are made of, and how large they are."""

    train_packages: Packages = Field(min_length=1)
    """names of installed packages to train on"""
    dev_packages: Packages = Field(min_length=1)
    """to choose with"""
    test_packages: Packages = Field(min_length=1)
    """to measure with"""
    objects_per_package: Count = 1000
    """functions, classes and methods of a package, at most"""
    body_words: Count = 120
    """a key is cut here"""
    train_rows: Count
    """of each task, at most"""
    dev_rows: Count
    """of each task, at most"""
    test_rows: Count
    """of each task, at most"""
    rows: RowSettings = RowSettings()
    near_duplicate_threshold: PositiveShare = 0.8
    """similarity of bodies from which an object is left out for an earlier one, of whatever split"""

    @model_validator(mode="after")
    def _each_package_once(self) -> Self:
        names = [*self.train_packages, *self.dev_packages, *self.test_packages]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"'{twice[0]}' found twice; a package is in one of train_packages, dev_packages and test_packages, once")
        return self

    def packages(self, split: Split) -> Packages:
        """The packages of a split."""
        return {"train": self.train_packages, "dev": self.dev_packages, "test": self.test_packages}[split]

    def row_count(self, split: Split) -> int:
        """The rows of a split, at most."""
        return {"train": self.train_rows, "dev": self.dev_rows, "test": self.test_rows}[split]


@dataclass(frozen=True, slots=True)
class TaskData:
    """A task's corpus of each split, whose places its rows name, and the rows; those of chat and lrlm bring their keys: no corpus."""

    name: str
    corpora: dict[Split, list[str]]
    train: list[TaskRow]
    dev: list[TaskRow]
    test: list[TaskQuery]


def build_tasks(settings: DocumentationSettings, *, seed: int) -> dict[str, TaskData]:
    """The six tasks by name.

    Training rows of icl bring candidates as ``neg`` and no ``pos``, as only a teacher can tell which help; so do those of chat and lrlm,
    whose candidates are earlier turns and chunks. Those of qa, convsearch and tool have ``pos`` alone, and want negatives mined.

    Args:
        settings: packages and sizes.
        seed: of all draws.

    Raises:
        SettingError: a package is not installed, or the packages of a split have no row for a task.
    """
    objects = _objects(settings, seed)
    tasks = {}
    for name, build in TASKS.items():
        parts: dict[Split, TaskPart] = {}
        for split in SPLITS:
            rng = random.Random(f"documentation tasks:{seed}:{name}:{split}")
            parts[split] = build(objects[split], settings.row_count(split), settings.rows, rng)
            if not parts[split].items:
                packages = ", ".join(settings.packages(split))
                raise SettingError(
                    f"{split}_packages", f"{packages} found, of whose documentation no row of task {name} can be made; add others"
                )
        tasks[name] = TaskData(
            name,
            {split: part.keys for split, part in parts.items()},
            [_row(item, name, parts["train"].keys) for item in parts["train"].items],
            [_row(item, name, parts["dev"].keys) for item in parts["dev"].items],
            [_query(item, name) for item in parts["test"].items],
        )
    return tasks


def _objects(settings: DocumentationSettings, seed: int) -> dict[Split, list[DocumentedObject]]:
    """The objects of each split, without those whose body or summary an earlier object nearly has."""
    limits = {"per_package": settings.objects_per_package, "body_words": settings.body_words, "seed": seed}
    read = [(split, item) for split in SPLITS for item in read_objects(settings.packages(split), **limits)]
    first = duplicate_groups([item.body for _, item in read], threshold=settings.near_duplicate_threshold)
    objects: dict[Split, list[DocumentedObject]] = {split: [] for split in SPLITS}
    summaries: set[str] = set()
    for i, (split, item) in enumerate(read):
        summary = normalize_query(item.summary)
        if first[i] == i and summary not in summaries:
            objects[split].append(item)
        summaries.add(summary)
    return objects


def _row(item: TaskItem, task: str, keys: Sequence[str]) -> TaskRow:
    judged = not (item.history or item.candidates)
    pos_index = list(item.places) if judged else None
    return TaskRow(
        query_id=f"{task}:{item.name}",
        task=task,
        query=item.query,
        pos=[keys[place] for place in pos_index or ()],
        neg=list(item.history) or [keys[place] for place in item.candidates],
        pos_index=pos_index,
        neg_index=list(item.candidates) or None,
        answers=item.answers,
    )


def _query(item: TaskItem, task: str) -> TaskQuery:
    return TaskQuery(
        query_id=f"{task}:{item.name}",
        task=task,
        query=item.query,
        pos_index=list(item.places) or None,
        answers=item.answers,
        key=list(item.history) or None,
    )
