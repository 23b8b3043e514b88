"""Tasks of files in LLM-Embedder's format: globs, a data root, dev rows drawn where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tandem.corpora.documentation_tasks import DocumentationSettings
from tandem.corpora.tasks import TaskSourceSettings, load_tasks
from tandem.settings import SettingError

DOCUMENTATION = DocumentationSettings(
    train_packages=["numpy"], dev_packages=["pandas"], test_packages=["scipy"], train_rows=1, dev_rows=1, test_rows=1
)


def settings(root: Path, **changes: Any) -> TaskSourceSettings:
    files = {"train": ["llm-embedder:qa/train*.json"], "dev": [], "test": ["llm-embedder:qa/test.json"]}
    files |= {"corpus": "llm-embedder:qa/corpus.json", "key_template": "{title} {text}"}
    values = {"source": "files", "documentation": DOCUMENTATION, "data_root": str(root), "files": {"qa": files}, "dev_rows": 2, **changes}
    return TaskSourceSettings(**values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "qa"
    folder.mkdir()
    for part in range(2):
        rows = [
            {"query": f"q {part} {i}", "pos": ["a b"], "pos_index": [0], "query_id": 10 * part + i, "pos_scores": [1]} for i in range(4)
        ]
        (folder / f"train{part}.json").write_text("\n".join(map(json.dumps, rows)))
    (folder / "test.json").write_text(json.dumps([{"query": "q", "pos_index": [1], "query_id": 1}]))
    (folder / "corpus.json").write_text("\n".join(json.dumps({"title": "a", "text": text}) for text in "bc"))
    return tmp_path


def test_files_become_a_task(root: Path) -> None:
    tasks, counts = load_tasks(settings(root), seed=3)
    task = tasks["qa"]
    assert task.corpora["test"] == ["a b", "a c"]
    assert (len(task.train), len(task.dev), len(task.test)) == (6, 2, 1)
    assert {row.query_id for row in task.train} & {row.query_id for row in task.dev} == set()
    assert {row.task for row in (*task.train, *task.test)} == {"qa"}
    assert counts == {"qa/ignored/pos_scores": 8}
    assert load_tasks(settings(root), seed=3)[0]["qa"].dev == task.dev


def test_too_many_dev_rows_and_no_files_are_told(root: Path) -> None:
    with pytest.raises(SettingError, match="dev_rows: 8 found, task qa has 8 training rows in all"):
        load_tasks(settings(root, dev_rows=8), seed=1)
    with pytest.raises(ValidationError, match="files: none found with source files"):
        settings(root, files={})
