"""LLM-Embedder's rows: what its document and its data have is read, and what is written is read back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.errors import InputError
from tandem.formats.flag_embedding import read_task_queries, read_task_rows, write_task_queries, write_task_rows
from tandem.records import TaskQuery, TaskRow

ROW = {"query_id": 7, "task": "qa", "query": "who?", "pos": ["a"], "neg": ["b", "c"], "pos_index": [4], "neg_index": [0, 9]}
SCORED = {**ROW, "teacher_scores": [-0.5, 4, -3.25], "answers": ["me"]}


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, **settings: Any) -> list[TaskRow]:
    return list(read_task_rows(path, **settings))


@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
def test_training_rows_round_trip(tmp_path: Path, *, array: bool) -> None:
    rows = [
        TaskRow(**{**SCORED, "query_id": "7", "teacher_scores": [-0.5, 4.0, -3.25]}),
        TaskRow(query_id="007", task="lrlm", query="on", neg=["x", "y"], answers=["z"]),
        TaskRow(query_id="9" * 30, task="tool", query="do\u2028it", pos=["p"], pos_index=[0]),
    ]
    write_task_rows(tmp_path / "train.json", rows, array=array)
    assert read(tmp_path / "train.json") == rows
    write_task_rows(tmp_path / "none.json", [], array=array)
    with pytest.raises(InputError, match="no row in it"):
        read(tmp_path / "none.json")


def test_written_as_published(tmp_path: Path) -> None:
    """The originals look rows up by whole numbers."""
    write_task_rows(tmp_path / "train.json", [TaskRow(**{**SCORED, "query_id": "7", "teacher_scores": [-0.5, 4.0, -3.25]})])
    assert json.loads((tmp_path / "train.json").read_text()) == SCORED
    chat = TaskRow(query_id="c-1", task="chat", query="and then?", neg=["turn 1", "turn 2"], answers=["home"], teacher_scores=[-1.0, -2.0])
    write_task_rows(tmp_path / "chat.json", [chat], history=True)
    written = json.loads((tmp_path / "chat.json").read_text())
    assert written == {
        "query_id": "c-1",
        "task": "chat",
        "query": "and then?",
        "history": ["turn 1", "turn 2"],
        "answers": ["home"],
        "teacher_scores": [-1.0, -2.0],
    }
    assert read(tmp_path / "chat.json") == [chat]


@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
def test_evaluation_rows_round_trip(tmp_path: Path, *, array: bool) -> None:
    queries = [
        TaskQuery(query_id="0", task="qa", query="who?", answers=["me"]),
        TaskQuery(query_id="1", task="qa", query="what?", pos_index=[], key=["k", "l"], key_index=[12, 3]),
        TaskQuery(query_id="None", task="icl", query="which?", pos_index=[1], key=["k", "l"]),
    ]
    write_task_queries(tmp_path / "test.json", queries, array=array)
    assert list(read_task_queries(tmp_path / "test.json")) == queries


def test_task_and_ids_that_a_file_lacks(tmp_path: Path) -> None:
    """Pitfalls 2 and 14: both are needed and documented nowhere; the caller gives the task, the row's number is the id."""
    path = lines(
        tmp_path / "t.json", {"query": "a", "query_id": None}, {"query": "b", "qid": 44, "task": None}, {"query": "c", "task": "tool"}
    )
    rows = read(path, task="qa")
    assert [(row.query_id, row.task) for row in rows] == [("0", "qa"), ("44", "qa"), ("2", "tool")]
    with pytest.raises(InputError, match=r"t\.json:1: task: nothing found"):
        read(path)
    (query, *_) = read_task_queries(path, task="qa")
    assert query.task == "qa"


def test_columns_that_nobody_reads_are_counted(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "icl.json", {**ROW, "pos_scores": [1], "neg_scores": [0, 0]}, {**ROW, "query_id": 8, "pos_scores": [1], "choices": None}
    )
    ignored: Counter[str] = Counter()
    assert len(read(path, ignored=ignored)) == 2
    assert ignored == {"pos_scores": 2, "neg_scores": 1}
    ignored.clear()
    assert len(list(read_task_queries(path, ignored=ignored))) == 2
    assert set(ignored) == {"pos", "neg", "neg_index", "pos_scores", "neg_scores"}


def test_a_history_takes_the_place_of_pos_and_neg(tmp_path: Path) -> None:
    chat = {"query": "so?", "task": "chat", "history": ["one", "two"], "teacher_scores": [-1.5, -2.5], "answers": ["yes"]}
    (row,) = read(lines(tmp_path / "chat.json", {**chat, "pos": [], "neg": None}))
    assert (row.pos, row.neg, row.teacher_scores) == ([], ["one", "two"], [-1.5, -2.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": None}, "query: Field required"),
        ({"query": ""}, "query: String should have at least 1 character"),
        ({"query": 3}, "query: Input should be a valid string, found 3"),
        ({"pos": "a"}, "pos: Input should be a valid list, found 'a'"),
        ({"neg": ["b", ""]}, r"neg\.1: "),
        ({"pos_index": [4, 5]}, ".*pos_index: 2 found for 1 keys"),
        ({"neg_index": [1.5, 2]}, r"neg_index\.0: "),
        ({"neg_index": [True, 2]}, r"neg_index\.0: "),
        ({"neg_index": [3, -1]}, "neg_index: -1 found"),  # pitfall 12
        ({"teacher_scores": [1.0]}, ".*teacher_scores: 1 found for 3 keys"),
        ({"teacher_scores": [1.0, None, 2.0]}, r"teacher_scores\.1: "),
        ({"answers": "me"}, "answers: Input should be a valid list"),
        ({"task": ""}, "task: "),
        ({"query_id": [1]}, r"query_id: \[1\] found"),
        ({"query_id": " "}, "query_id: ' ' found"),
        ({"history": ["x"]}, "history: found beside pos"),
        ({"score_inputs": [[1, 2]]}, "score_inputs: token ids found"),
        ({"context_inputs": [1, 2]}, "context_inputs: token ids found"),
    ],
)
def test_errors_name_file_line_and_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = lines(tmp_path / "bad.json", ROW, {**ROW, **change})
    with pytest.raises(InputError, match=rf"bad\.json:2: {message}"):
        read(path)


def test_scores_that_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('[\n{"query": "q", "task": "qa", "neg": ["a"], "teacher_scores": [1e999]}]')
    with pytest.raises(InputError, match=r"bad\.json:2: teacher_scores: inf found"):
        read(path)
    row = TaskRow(query_id="1", task="qa", query="q", neg=["a"], teacher_scores=[float("nan")])
    (tmp_path / "kept.json").write_text("before")
    with pytest.raises(ValueError, match="1: teacher_scores: not a finite number"):
        write_task_rows(tmp_path / "kept.json", [row.model_copy(update={"teacher_scores": [0.0]}), row])
    assert (tmp_path / "kept.json").read_text() == "before"
    with pytest.raises(ValueError, match="history: the row has 1 keys in pos"):
        write_task_rows(tmp_path / "kept.json", [TaskRow(query_id="1", task="chat", query="q", pos=["a"])], history=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_id": 1}, "query_id: '1' found, which line 1 has"),  # pitfall 17: results are joined by it
        ({"query_id": "1.0"}, "query_id: '1' found, which line 1 has"),
        ({"key_index": [1]}, "key_index: 1 found for 2 keys"),
        ({"pos_index": [2]}, "pos_index: 2 found, the row has 2 keys"),
        ({"pos_index": [-1]}, "pos_index: -1 found"),
        ({"key": "k"}, "key: "),
    ],
)
def test_errors_of_evaluation_rows(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = {"query_id": 1, "task": "qa", "query": "q"}
    path = lines(tmp_path / "bad.json", good, {**good, "query_id": 2, "key": ["k", "l"], **change})
    with pytest.raises(InputError, match=rf"bad\.json:2: {message}"):
        list(read_task_queries(path))
