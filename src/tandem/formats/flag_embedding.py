"""FlagEmbedding's data of LLM-Embedder, both ways: training rows and evaluation rows of its six tasks, as its document names their fields.

Files are JSON lines, whatever their suffix, or one JSON array. What the document does not say and the program needs is ``task``, which a
row or the caller names, and ``query_id`` (``qid`` in ToolBench), which is the row's number from 0 where it is missing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from tandem.formats.errors import InputError
from tandem.formats.identifiers import read_identifier
from tandem.formats.json_values import read_objects
from tandem.formats.jsonl import explain, write_lines
from tandem.records import TaskQuery, TaskRow

__all__ = ["read_task_queries", "read_task_rows", "write_task_queries", "write_task_rows"]

R = TypeVar("R", TaskRow, TaskQuery)
IDENTIFIERS = ("query_id", "qid")
TOKEN_IDS = ("context_inputs", "query_inputs", "answer_inputs", "score_inputs")
WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")  # that is read back as it was, within 64 bits
PLACES = ("pos_index", "neg_index", "key_index")


def read_task_rows(path: Path, *, task: str | None = None, ignored: Counter[str] | None = None) -> Iterator[TaskRow]:
    """The training rows of a file, one at a time.

    A chat row's ``history`` is read as keys of which a teacher alone tells the good ones: as ``neg``, without ``pos``.

    Args:
        path: JSON lines or one JSON array.
        task: of rows that name none.
        ignored: counts the rows of every column that is not read, as ``pos_scores``; None counts none.

    Raises:
        InputError: names file, line, key and value.
    """
    return _read(path, TaskRow, task, ignored)


def read_task_queries(path: Path, *, task: str | None = None, ignored: Counter[str] | None = None) -> Iterator[TaskQuery]:
    """The evaluation rows of a file, one at a time; a file of training rows is read as well, without its texts of keys.

    Args:
        path: JSON lines or one JSON array.
        task: of rows that name none.
        ignored: counts the rows of every column that is not read, as MMLU's ``choices``; None counts none.

    Raises:
        InputError: names file, line, key and value; a query_id stands in the file a second time, and results are known by it.
    """
    lines: dict[str, int] = {}
    for line_number, query in _read_numbered(path, TaskQuery, task, ignored):
        if (first := lines.setdefault(query.query_id, line_number)) != line_number:
            raise InputError(f"{path}:{line_number}: query_id: '{query.query_id}' found, which line {first} has; results are known by it")
        yield query


def write_task_rows(path: Path, rows: Iterable[TaskRow], *, history: bool = False, array: bool = False) -> None:
    """Write training rows, whole or not at all; fields without a value are left out, and ids that are whole numbers written as such.

    Args:
        path: of the file.
        rows: to write.
        history: write ``neg`` as the ``history`` of chat rows.
        array: one JSON array, an element a line, in place of JSON lines.

    Raises:
        ValueError: a teacher's score is no finite number, or a row with a history has ``pos``.
    """
    _write(path, (_row_values(row, history=history) for row in rows), array=array)


def write_task_queries(path: Path, queries: Iterable[TaskQuery], *, array: bool = False) -> None:
    """Write evaluation rows, whole or not at all, as :func:`write_task_rows` does."""
    _write(path, (_values(query) for query in queries), array=array)


def _read(path: Path, kind: type[R], task: str | None, ignored: Counter[str] | None) -> Iterator[R]:
    return (record for _, record in _read_numbered(path, kind, task, ignored))


def _read_numbered(path: Path, kind: type[R], task: str | None, ignored: Counter[str] | None) -> Iterator[tuple[int, R]]:
    empty = True
    for number, (line_number, row) in enumerate(read_objects(path)):
        empty = False
        where = f"{path}:{line_number}"
        values = _row_of(row, number, task, where)
        if kind is TaskRow:
            values = _with_history(values, where)
        if ignored is not None:
            ignored.update(name for name in values if name not in kind.model_fields)
        try:
            record = kind.model_validate({name: value for name, value in values.items() if name in kind.model_fields})
        except ValidationError as error:
            raise InputError(f"{where}: {explain(error)}") from None
        _check_numbers(record, where)
        yield line_number, record
    if empty:
        raise InputError(f"{path}: no row in it; give a file with JSON lines, or one array, of rows with 'query'")


def _row_of(row: dict[str, Any], number: int, task: str | None, where: str) -> dict[str, Any]:
    """A row without what says nothing, with task and query_id."""
    if name := next((name for name in TOKEN_IDS if name in row), None):
        told = "token ids found, which are one tokenizer's; texts are expected: query, pos, neg or history, answers"
        raise InputError(f"{where}: {name}: {told}")
    values = {name: value for name, value in row.items() if value is not None}
    name = next((name for name in IDENTIFIERS if name in values), "")
    query_id = read_identifier(values[name], where=f"{where}: {name}:") if name else str(number)
    if "task" not in values:
        if task is None:
            raise InputError(f"{where}: task: nothing found, a name is expected; write it in the row, or give the task of the whole file")
        values["task"] = task
    return {name: value for name, value in values.items() if name not in IDENTIFIERS} | {"query_id": query_id}


def _with_history(values: dict[str, Any], where: str) -> dict[str, Any]:
    if "history" not in values:
        return values
    if name := next((name for name in ("pos", "neg") if values.get(name)), None):
        raise InputError(f"{where}: history: found beside {name}, of which it takes the place; one of them has to go")
    return {name: value for name, value in values.items() if name != "history"} | {"pos": [], "neg": values["history"]}


def _check_numbers(record: TaskRow | TaskQuery, where: str) -> None:
    for name in PLACES:
        for place in getattr(record, name, None) or ():
            if place < 0:  # faiss pads its results with -1
                raise InputError(f"{where}: {name}: {place} found, the number of a key from 0 is expected")
    if isinstance(record, TaskRow) and record.teacher_scores is not None:
        for score in record.teacher_scores:
            if not math.isfinite(score):
                raise InputError(f"{where}: teacher_scores: {score} found, finite numbers are expected; score the row again")
    if isinstance(record, TaskQuery) and record.key is not None:
        candidates = len(record.key)
        if record.key_index is not None and len(record.key_index) != candidates:
            raise InputError(f"{where}: key_index: {len(record.key_index)} found for {candidates} keys")
        if record.key_index is None and (beyond := [place for place in record.pos_index or () if place >= candidates]):
            raise InputError(f"{where}: pos_index: {beyond[0]} found, the row has {candidates} keys of its own, numbered from 0")


def _row_values(row: TaskRow, *, history: bool) -> dict[str, Any]:
    values = _values(row)
    if any(not math.isfinite(score) for score in row.teacher_scores or ()):
        raise ValueError(f"{row.query_id}: teacher_scores: not a finite number; the model that scored the row gives no usable scores")
    if not history:
        return values
    if row.pos:
        raise ValueError(f"{row.query_id}: history: the row has {len(row.pos)} keys in pos, and a history says of none that it is good")
    return {name: value for name, value in values.items() if name not in ("pos", "neg", "pos_index", "neg_index")} | {"history": row.neg}


def _values(record: TaskRow | TaskQuery) -> dict[str, Any]:
    values = {name: value for name, value in record.model_dump().items() if value is not None and (name, value) != ("answers", [])}
    return values | {"query_id": int(record.query_id) if WHOLE.fullmatch(record.query_id) else record.query_id}


def _write(path: Path, rows: Iterable[dict[str, Any]], *, array: bool) -> None:
    if not array:
        write_lines(path, (orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))
        return
    write_lines(path, _array_lines(rows))


def _array_lines(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    start = b"[\n"
    for row in rows:
        yield start + orjson.dumps(row)
        start = b",\n"
    yield b"\n]\n" if start == b",\n" else b"[]\n"
