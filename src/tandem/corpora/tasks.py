"""Tasks to train a retriever on: made of installed packages' documentation, or read from files in LLM-Embedder's format."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from tandem.corpora.documentation_tasks import SPLITS, DocumentationSettings, TaskData, build_tasks
from tandem.formats.flag_embedding import read_task_queries, read_task_rows
from tandem.formats.key_template import read_keys
from tandem.formats.task_paths import resolve_paths
from tandem.settings import CountOrZero, SettingError, Settings

__all__ = ["TaskFiles", "TaskSourceSettings", "load_tasks"]


class TaskFiles(Settings):
    """The files of one task, in LLM-Embedder's format; a path may begin with ``llm-embedder:``, and have ``*`` in it."""

    train: list[str]
    """training rows"""
    dev: list[str]
    """rows to choose with; []: dev_rows of the training rows, drawn by seed, which are then not trained on"""
    test: list[str]
    """evaluation rows"""
    corpus: str | None
    """keys that places name; null: every row brings its keys"""
    key_template: str
    """of a key: columns of the corpus in braces, with text between them"""


class TaskSourceSettings(Settings):
    """Where tasks come from."""

    source: Literal["documentation", "files"]
    """documentation: of installed packages; files: those named below"""
    documentation: DocumentationSettings
    """of source documentation"""
    data_root: str
    """what llm-embedder: stands for"""
    files: dict[str, TaskFiles]
    """of source files, by task"""
    dev_rows: CountOrZero
    """of a task of files without dev files"""

    @model_validator(mode="after")
    def _names_files(self) -> Self:
        if self.source == "files" and not self.files:
            raise ValueError("files: none found with source files, one task at least is needed; name its train, test and corpus")
        return self


def load_tasks(settings: TaskSourceSettings, *, seed: int) -> tuple[dict[str, TaskData], dict[str, int]]:
    """The tasks by name, and counts of columns that were not read, as ``qa/ignored/pos_scores``.

    Args:
        settings: of the source.
        seed: of all draws.

    Raises:
        SettingError: a package is not installed, or a path names nothing.
        InputError: names file, line, key and value.
    """
    if settings.source == "documentation":
        return build_tasks(settings.documentation, seed=seed), {}
    tasks, counts = {}, Counter[str]()
    for name, files in settings.files.items():
        ignored = Counter[str]()
        tasks[name] = _read_task(name, files, settings, ignored, seed)
        counts.update({f"{name}/ignored/{column}": count for column, count in ignored.items()})
    return tasks, dict(counts)


def _read_task(name: str, files: TaskFiles, settings: TaskSourceSettings, ignored: Counter[str], seed: int) -> TaskData:
    root = Path(settings.data_root)
    train, dev, test = (resolve_paths(paths, data_root=root) if paths else [] for paths in (files.train, files.dev, files.test))
    corpora = resolve_paths([files.corpus], data_root=root) if files.corpus else []
    keys = [key for path in corpora for key in read_keys(path, key_template=files.key_template)]
    rows = [row for path in train for row in read_task_rows(path, task=name, ignored=ignored)]
    held_out = [row for path in dev for row in read_task_rows(path, task=name, ignored=ignored)]
    if not dev and settings.dev_rows:
        if settings.dev_rows >= len(rows):
            raise SettingError("dev_rows", f"{settings.dev_rows} found, task {name} has {len(rows)} training rows in all; take fewer, or 0")
        drawn = set(random.Random(f"dev rows:{name}:{seed}").sample(range(len(rows)), settings.dev_rows))
        held_out = [row for place, row in enumerate(rows) if place in drawn]
        rows = [row for place, row in enumerate(rows) if place not in drawn]
    queries = [query for path in test for query in read_task_queries(path, task=name, ignored=ignored)]
    return TaskData(name, dict.fromkeys(SPLITS, keys), rows, held_out, queries)
