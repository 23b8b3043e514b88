"""The training set of tasks: keys drawn anew in every pass, places without a key, instructions, one task a step in every process."""

from __future__ import annotations

import math
from typing import Any

from makers import task_training_settings

from tandem.records import TaskRow
from tandem.retrievers.training.task_rows import select_rows
from tandem.retrievers.training.task_set import PADDING, TaskSet, build_task_set


def rows_of(task: str, number: int, negatives: int = 6) -> list[TaskRow]:
    return [
        TaskRow(
            query_id=f"{i}",
            task=task,
            query=f"{task} {i}",
            pos=[f"{task} {i} good", f"{task} {i} better"],
            neg=[f"{task} {i} bad {j}" for j in range(negatives)],
            teacher_scores=[1.0, 2.0, *(-float(j) for j in range(negatives))],
        )
        for i in range(number)
    ]


def build(rows: dict[str, list[TaskRow]], *, processes: int = 1, seed: int = 1, **changes: Any) -> TaskSet:
    settings = task_training_settings(**changes)
    selected = select_rows(rows, settings, seed=seed)
    return build_task_set(selected, settings, instruct=lambda task, role, text: f"{task}/{role}: {text}", processes=processes, seed=seed)


def test_keys_are_drawn_anew_in_every_pass_and_by_seed() -> None:
    """One row, twenty visits: both positives and many sets of negatives, none of which holds a key twice or a positive."""
    rows = {"qa": rows_of("qa", 1)}

    def visits(seed: int) -> list[tuple[Any, ...]]:
        columns = build(rows, seed=seed, steps=20, batch_size=1, select_positive="random").columns
        return list(zip(columns["key_1"], columns["key_2"], columns["key_3"], strict=True))

    found = visits(1)
    assert {visit[0] for visit in found} == {"qa/key: qa 0 good", "qa/key: qa 0 better"}
    assert len({frozenset(visit[1:]) for visit in found}) > 5
    assert all(len(set(visit)) == 3 and not any("good" in key or "better" in key for key in visit[1:]) for visit in found)
    assert visits(1) == found != visits(2)


def test_a_row_with_too_few_negatives_has_masked_places() -> None:
    """Two negatives where seven are asked for: two, each once, and five places that are no keys; scores of the keys that are."""
    built = build({"qa": rows_of("qa", 2, negatives=2)}, keys_per_query=8, steps=1, distillation="kl")
    for number in built.columns["label"]:
        groups = built.groups[int(number)]
        assert groups[3:] == [PADDING] * 5
        assert len(set(groups[:3])) == 3
        assert PADDING not in groups[:3]
        scores = built.scores[int(number)]
        assert sorted(scores[:3]) == [-1.0, 0.0, 1.0]
        assert scores[0] == 1.0
        assert all(math.isnan(score) for score in scores[3:])


def test_scores_follow_their_keys() -> None:
    built = build({"qa": rows_of("qa", 4)}, steps=6, distillation="graded", select_negative="random", select_positive="random")
    by_text = {"good": 1.0, "better": 2.0, **{f"bad {j}": -float(j) for j in range(6)}}
    for i, name in enumerate(("key_1", "key_2", "key_3")):
        for text, scores in zip(built.columns[name], built.scores, strict=True):
            assert scores[i] == by_text[str(text).split(" ", 3)[3]]


def test_a_task_without_a_teacher_has_no_scores() -> None:
    built = build({"qa": rows_of("qa", 2), "chat": rows_of("chat", 2)}, overrides={"chat": {"distillation": "kl"}})
    for task, scores in zip(built.tasks, built.scores, strict=True):
        assert all(math.isnan(score) == (task == "qa") for score in scores)


def test_every_process_has_rows_of_the_steps_task() -> None:
    """Of two processes each takes half of a step's rows: those that one process takes with twice the batch."""
    rows = {"qa": rows_of("qa", 9), "chat": rows_of("chat", 5)}
    two, one = build(rows, processes=2, batch_size=2), build(rows, batch_size=4)
    assert two.columns == one.columns
    assert len(one.tasks) == 10 * 4
    steps = [one.tasks[i : i + 4] for i in range(0, 40, 4)]
    assert all(len(set(step)) == 1 for step in steps)
    assert {step[0] for step in steps} == {"qa", "chat"}


def test_texts_have_their_tasks_instructions() -> None:
    built = build({"qa": rows_of("qa", 3), "chat": rows_of("chat", 3)}, batches="off")
    for i, task in enumerate(built.tasks):
        assert str(built.columns["query"][i]).startswith(f"{task}/query: {task} ")
        assert str(built.columns["key_2"][i]).startswith(f"{task}/key: {task} ")


def test_more_copies_are_more_visits() -> None:
    built = build({"qa": rows_of("qa", 4), "chat": rows_of("chat", 4)}, overrides={"chat": {"copies": 3}}, steps=8)
    assert (built.tasks.count("chat"), built.tasks.count("qa")) == (12, 4)
