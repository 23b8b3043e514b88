"""LLaMA-Factory's data sets, both ways: supervised and preference data, alpaca and sharegpt, with ``dataset_info.json``.

Preference entries carry ``"ranking": true`` and ``chosen``/``rejected`` columns; supervised ones never do, for every
LLaMA-Factory since 0.4 refuses ranking data outside its rm and dpo stages. The two-element ``output`` list of version
0.3 is read as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from tandem.formats.encodings import read_text, require_file
from tandem.formats.jsonl import InputError, explain, write_json

__all__ = ["PreferenceRow", "SupervisedRow", "read_dataset", "write_dataset"]

Formatting = Literal["alpaca", "sharegpt"]


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
    """Read a data set that ``folder/dataset_info.json`` describes.

    Raises:
        InputError: the entry or a column is missing, or a row is not of the form that the entry says.
    """
    registry = folder / "dataset_info.json"
    entries = _read_json(registry, dict)
    if name not in entries:
        raise InputError(f"{registry}: no entry '{name}'; there are: {', '.join(sorted(entries)) or 'none'}")
    entry = entries[name]
    if not isinstance(entry, dict):
        raise InputError(f"{registry}: {name}: {entry!r:.60} found, a map with file_name, formatting and columns is expected")
    formatting = entry.get("formatting", "alpaca")
    if formatting not in ("alpaca", "sharegpt"):
        raise InputError(f"{registry}: {name}.formatting: {formatting!r} found, allowed: alpaca, sharegpt")
    path = folder / entry.get("file_name", f"{name}.json")
    parse = _parse_alpaca if formatting == "alpaca" else _parse_sharegpt
    rows: list[Row] = []
    for number, row in enumerate(_read_json(path, list)):
        try:
            rows.append(parse(row, entry))
        except ValidationError as error:
            raise InputError(f"{path}: row {number}: {explain(error)}") from None
        except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
            told = f"no key {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}: row {number}: not a {formatting} row as {registry} says: {told}, found {row!r:.80}") from None
    return rows


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
        entry["tags"] = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
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


def _parse_alpaca(row: dict[str, Any], entry: dict[str, Any]) -> Row:
    columns = entry.get("columns", {"prompt": "instruction", "query": "input", "response": "output"})
    prompt = "\n".join(part for part in (row[columns["prompt"]], row.get(columns.get("query", ""), "")) if part)
    if not entry.get("ranking"):
        return SupervisedRow(prompt=prompt, completion=row[columns["response"]])
    if "chosen" in columns:
        return PreferenceRow(prompt=prompt, chosen=row[columns["chosen"]], rejected=row[columns["rejected"]])
    better, worse = row[columns["response"]]
    return PreferenceRow(prompt=prompt, chosen=better, rejected=worse)


def _parse_sharegpt(row: dict[str, Any], entry: dict[str, Any]) -> Row:
    columns, tags = entry.get("columns", {}), entry.get("tags", {})
    content = tags.get("content_tag", "value")
    turns = row[columns.get("messages", "conversations")]
    if entry.get("ranking"):
        chosen, rejected = (row[columns.get(key, key)][content] for key in ("chosen", "rejected"))
        return PreferenceRow(prompt=turns[0][content], chosen=chosen, rejected=rejected)
    if len(turns) != 2:
        raise ValueError(f"{len(turns)} turns, one question and one answer are expected")
    return SupervisedRow(prompt=turns[0][content], completion=turns[1][content])


def _read_json(path: Path, kind: type) -> Any:
    require_file(path, "`tandem export` writes one")
    try:
        value = orjson.loads(read_text(path))
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(value, kind):
        raise InputError(f"{path}: {type(value).__name__} found, a JSON {kind.__name__} is expected")
    return value
