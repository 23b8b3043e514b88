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


def write_entry(folder: Path, entry: dict[str, Any], text: str) -> None:
    (folder / "dataset_info.json").write_text(json.dumps({"x": entry}))
    (folder / entry.get("file_name", "x.json")).write_text(text)


def test_json_lines_with_columns_and_tags_of_other_names(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "d"}, {"role": "assistant", "content": "q"}]
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    entry = {"file_name": "x.jsonl", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
    write_entry(tmp_path, entry, json.dumps({"messages": turns}) + "\n")
    assert read_dataset(tmp_path, "x") == [SupervisedRow(prompt="d", completion="q")]


def test_without_columns_the_defaults_hold(tmp_path: Path) -> None:
    write_entry(tmp_path, {}, '[{"instruction": "d", "input": "", "output": "q", "history": []}]')
    assert read_dataset(tmp_path, "x") == [SupervisedRow(prompt="d", completion="q")]


ONE_TURN = json.dumps([{"conversations": [{"from": "human", "value": "d"}]}])
SWAPPED = json.dumps([{"conversations": [{"from": "gpt", "value": "q"}, {"from": "human", "value": "d"}]}])


@pytest.mark.parametrize(
    ("entry", "text", "message"),
    [
        ({"columns": {"prompt": "text"}}, '[{"text": "d"}]', r"dataset_info.json: x.columns.response: nothing found, the name of a column"),
        ({"columns": {"query": "input"}}, "[]", r"x.columns.prompt: nothing found"),
        ({"hf_hub_url": "a/b"}, "[]", r"dataset_info.json: x: hf_hub_url found; only files of this folder are read"),
        ({}, "[]", r"x.json: no row in it, which .*dataset_info.json says is data set 'x'"),
        (
            {"columns": {"prompt": "p", "response": "r"}},
            '[{"p": "d"}]',
            r"row 0: not a alpaca row .*: no key 'r', found \{'p': 'd'\}",
        ),
        (
            {"columns": {"prompt": "p", "response": "r", "history": "h"}},
            '[{"p": "d", "r": "q", "h": [["a", "b"]]}]',
            r"row 0: .* a history, one question and one answer are expected",
        ),
        ({"formatting": "sharegpt"}, ONE_TURN, r"row 0: .* 1 turns, one question and one answer expected"),
        ({"formatting": "sharegpt"}, SWAPPED, r"row 0: .* from: 'gpt' found, 'human' is expected"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, entry: dict[str, Any], text: str, message: str) -> None:
    write_entry(tmp_path, entry, text)
    with pytest.raises(InputError, match=message):
        read_dataset(tmp_path, "x")
