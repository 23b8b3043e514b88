"""LLaMA-Factory's data sets, both ways: supervised and preference data, alpaca and sharegpt, with ``dataset_info.json``.

Preference entries carry ``"ranking": true`` and ``chosen``/``rejected`` columns; supervised ones never do, for every
LLaMA-Factory since 0.4 refuses ranking data outside its rm and dpo stages. The two-element ``output`` list of version
0.3 is read as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from tandem.formats.encodings import read_text, require_file
from tandem.formats.errors import InputError
from tandem.formats.jsonl import explain, read_json_lines, write_json

__all__ = ["PreferenceRow", "Row", "SupervisedRow", "read_dataset", "write_dataset"]

Formatting = Literal["alpaca", "sharegpt"]
# What an entry without columns and tags means.
COLUMNS = {"alpaca": {"prompt": "instruction", "query": "input", "response": "output"}, "sharegpt": {"messages": "conversations"}}
TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system"}
ELSEWHERE = ("hf_hub_url", "ms_hub_url", "script_url", "cloud_file_name")


class SupervisedRow(BaseModel):
    """A prompt and the answer to learn."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    prompt: str
    completion: str


class PreferenceRow(BaseModel):
    """A prompt, the better answer and the worse one."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    prompt: str
    chosen: str
    rejected: str


Row = SupervisedRow | PreferenceRow


def write_dataset(folder: Path, name: str, rows: Sequence[Row], *, formatting: Formatting = "alpaca") -> None:
    """Write ``folder/name.json`` and add its entry to ``folder/dataset_info.json``, other entries kept.

    Raises:
        InputError: no rows, or rows of both kinds.
    """
    kinds = {type(row) for row in rows}
    if len(kinds) != 1:
        raise InputError(f"{folder / name}.json: rows of one kind are expected, {len(kinds)} kinds found")
    ranking = kinds == {PreferenceRow}
    write = _alpaca_row if formatting == "alpaca" else _sharegpt_row
    write_json(folder / f"{name}.json", [write(row) for row in rows])
    registry = folder / "dataset_info.json"
    entries = _read_json(registry, dict) if registry.exists() else {}
    write_json(registry, {**entries, name: _entry(name, formatting, ranking=ranking)})


def read_dataset(folder: Path, name: str) -> list[Row]:
    """Read a data set that ``folder/dataset_info.json`` describes, from a .json or .jsonl file of the folder.

    Prompts of several columns are joined as LLaMA-Factory does, by a line break; a system turn is left out.

    Raises:
        InputError: the entry or a column is missing, or a row is not of the form that the entry says.
    """
    registry = folder / "dataset_info.json"
    dataset = _read_entry(registry, name)
    parse = _parse_alpaca if dataset.formatting == "alpaca" else _parse_sharegpt
    rows: list[Row] = []
    for place, row in enumerate(_read_rows(folder / dataset.file_name)):
        where = f"{folder / dataset.file_name}: row {place}"
        try:
            rows.append(parse(row, dataset))
        except ValidationError as error:
            raise InputError(f"{where}: {explain(error)}") from None
        except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
            reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{where}: not a {dataset.formatting} row as {registry} says: {reason}, found {row!r:.80}") from None
    if not rows:
        raise InputError(f"{folder / dataset.file_name}: no row in it, which {registry} says is data set '{name}'")
    return rows


@dataclass(frozen=True, slots=True)
class Dataset:
    """An entry of ``dataset_info.json``: columns and tags by LLaMA-Factory's names for them."""

    file_name: str
    formatting: str
    ranking: bool
    columns: dict[str, str]
    tags: dict[str, str]


def _read_entry(registry: Path, name: str) -> Dataset:
    entries = _read_json(registry, dict)
    if name not in entries:
        raise InputError(f"{registry}: no entry '{name}'; there are: {', '.join(sorted(entries)) or 'none'}")
    entry = entries[name]
    if not isinstance(entry, dict):
        raise InputError(f"{registry}: {name}: {entry!r:.60} found, a map with file_name, formatting and columns is expected")
    formatting = entry.get("formatting", "alpaca")
    if formatting not in COLUMNS:
        raise InputError(f"{registry}: {name}.formatting: {formatting!r} found, allowed: {', '.join(COLUMNS)}")
    if elsewhere := next((key for key in ELSEWHERE if key in entry and "file_name" not in entry), None):
        raise InputError(f"{registry}: {name}: {elsewhere} found; only files of this folder are read: download it and give its file_name")
    # A column that is left out is None in LLaMA-Factory as soon as any is given.
    columns, ranking = entry.get("columns", COLUMNS[formatting]), bool(entry.get("ranking"))
    needed = ["prompt" if formatting == "alpaca" else "messages", *([] if ranking or formatting == "sharegpt" else ["response"])]
    for column in needed:
        if column not in columns:
            raise InputError(f"{registry}: {name}.columns.{column}: nothing found, the name of a column is expected; there are: {columns}")
    return Dataset(entry.get("file_name", f"{name}.json"), formatting, ranking, columns, {**TAGS, **entry.get("tags", {})})


def _entry(name: str, formatting: Formatting, *, ranking: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"file_name": f"{name}.json", "formatting": formatting}
    if ranking:
        entry["ranking"] = True
    answers = {"chosen": "chosen", "rejected": "rejected"} if ranking else {}
    if formatting == "alpaca":
        response = {} if ranking else {"response": "output"}
        # A column that is left out is None in LLaMA-Factory as soon as any is given, so all are.
        entry["columns"] = {"prompt": "instruction", "query": "input", **response, **answers}
    else:
        entry["columns"] = {"messages": "conversations", **answers}
        entry["tags"] = {key: tag for key, tag in TAGS.items() if key != "system_tag"}
    return entry


def _alpaca_row(row: Row) -> dict[str, Any]:
    if isinstance(row, SupervisedRow):
        return {"instruction": row.prompt, "input": "", "output": row.completion}
    return {"instruction": row.prompt, "input": "", "chosen": row.chosen, "rejected": row.rejected}


def _sharegpt_row(row: Row) -> dict[str, Any]:
    human = {"from": "human", "value": row.prompt}
    if isinstance(row, SupervisedRow):
        return {"conversations": [human, {"from": "gpt", "value": row.completion}]}
    chosen, rejected = ({"from": "gpt", "value": text} for text in (row.chosen, row.rejected))
    return {"conversations": [human], "chosen": chosen, "rejected": rejected}


def _parse_alpaca(row: dict[str, Any], dataset: Dataset) -> Row:
    columns = dataset.columns
    if row.get(columns.get("history", "")):
        raise ValueError("a history, one question and one answer are expected")
    prompt = "\n".join(text for text in (row[columns["prompt"]], row.get(columns.get("query", ""), "")) if text)
    if not dataset.ranking:
        return SupervisedRow(prompt=prompt, completion=row[columns["response"]])
    if "chosen" in columns:
        return PreferenceRow(prompt=prompt, chosen=row[columns["chosen"]], rejected=row[columns["rejected"]])
    better, worse = row[columns["response"]]
    return PreferenceRow(prompt=prompt, chosen=better, rejected=worse)


def _parse_sharegpt(row: dict[str, Any], dataset: Dataset) -> Row:
    columns, role, content = dataset.columns, dataset.tags["role_tag"], dataset.tags["content_tag"]
    turns = row[columns["messages"]]
    if turns and turns[0].get(role) == dataset.tags["system_tag"]:
        turns = turns[1:]
    length = 1 if dataset.ranking else 2
    if len(turns) != length:
        raise ValueError(f"{len(turns)} turns, {'one question' if dataset.ranking else 'one question and one answer'} expected")
    for turn, tag in zip(turns, ("user_tag", "assistant_tag"), strict=False):
        if turn[role] != dataset.tags[tag]:
            raise ValueError(f"{role}: {turn[role]!r:.40} found, '{dataset.tags[tag]}' is expected")
    if not dataset.ranking:
        return SupervisedRow(prompt=turns[0][content], completion=turns[1][content])
    chosen, rejected = (row[columns.get(key, key)][content] for key in ("chosen", "rejected"))
    return PreferenceRow(prompt=turns[0][content], chosen=chosen, rejected=rejected)


def _read_rows(path: Path) -> Sequence[Any]:
    if path.suffix.lower() == ".jsonl":
        require_file(path, "`tandem export` writes one")
        return [row for _, row in read_json_lines(path)]
    rows: list[Any] = _read_json(path, list)
    return rows


def _read_json(path: Path, kind: type) -> Any:
    require_file(path, "`tandem export` writes one")
    try:
        value = orjson.loads(read_text(path))
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(value, kind):
        raise InputError(f"{path}: {type(value).__name__} found, a JSON {kind.__name__} is expected")
    return value
