"""LLaMA-Factory's data sets: what is written is what it documents, and what others wrote is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.jsonl import InputError
from tandem.formats.llama_factory import PreferenceRow, Row, SupervisedRow, read_dataset, write_dataset

SUPERVISED: list[Row] = [SupervisedRow(prompt="a document", completion="a query")]
PREFERENCES: list[Row] = [PreferenceRow(prompt="a document", chosen="good", rejected="bad")]


@pytest.mark.parametrize("formatting", ["alpaca", "sharegpt"])
@pytest.mark.parametrize("rows", [SUPERVISED, PREFERENCES], ids=["supervised", "preferences"])
def test_round_trip(tmp_path: Path, rows: list[Row], formatting: Any) -> None:
    (tmp_path / "dataset_info.json").write_text('{"other": {"file_name": "other.json"}}')
    write_dataset(tmp_path, "mine", rows, formatting=formatting)
    assert read_dataset(tmp_path, "mine") == rows
    entries = json.loads((tmp_path / "dataset_info.json").read_text())
    assert set(entries) == {"other", "mine"}
    assert entries["mine"].get("ranking", False) is isinstance(rows[0], PreferenceRow)


def test_alpaca_as_documented(tmp_path: Path) -> None:
    write_dataset(tmp_path, "p", PREFERENCES)
    assert json.loads((tmp_path / "p.json").read_text()) == [
        {"instruction": "a document", "input": "", "chosen": "good", "rejected": "bad"}
    ]
    assert json.loads((tmp_path / "dataset_info.json").read_text())["p"]["columns"] == {
        "prompt": "instruction",
        "query": "input",
        "chosen": "chosen",
        "rejected": "rejected",
    }


def test_the_old_two_element_output_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"instruction": "d", "input": "more", "output": ["good", "bad"]}]')
    entry = {
        "file_name": "x.json",
        "ranking": True,
        "columns": {"prompt": "instruction", "query": "input", "response": "output"},
    }
    (tmp_path / "dataset_info.json").write_text(json.dumps({"x": entry}))
    assert read_dataset(tmp_path, "x") == [PreferenceRow(prompt="d\nmore", chosen="good", rejected="bad")]


def test_mixed_and_empty_rows_are_refused(tmp_path: Path) -> None:
    for rows in ([], [*SUPERVISED, *PREFERENCES]):
        with pytest.raises(InputError, match="rows of one kind"):
            write_dataset(tmp_path, "x", rows)
