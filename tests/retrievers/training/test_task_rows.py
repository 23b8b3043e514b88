"""Which rows and keys are learnt from: the teacher's rules, false negatives, positives and negatives by every choice."""

from __future__ import annotations

from typing import Any

import pytest
from makers import task_training_settings

from tandem.records import TaskRow
from tandem.retrievers.training.task_rows import KeyChoice, TaskRows, select_rows
from tandem.settings import SettingError


def row(query_id: str = "1", **values: Any) -> TaskRow:
    return TaskRow(query_id=query_id, task="qa", **{"query": f"query {query_id}", **values})


def select(*rows: TaskRow, seed: int = 1, **changes: Any) -> TaskRows:
    return select_rows({"qa": rows}, task_training_settings(**changes), seed=seed)


def choose(chosen: TaskRow, **changes: Any) -> KeyChoice:
    (choice,) = select(chosen, **changes).rows["qa"]
    return choice


SCORED = row(pos=["a", "b"], neg=["c", "d", "e"], teacher_scores=[0.1, 0.5, 0.9, -1.0, 0.3])


@pytest.mark.parametrize(
    ("choice", "positives", "negatives"), [("first", [0], [2, 3, 4]), ("random", [0, 1], [2, 3, 4]), ("teacher_pos", [1], [2, 3, 4])]
)
def test_positives_of_pos(choice: str, positives: list[int], negatives: list[int]) -> None:
    """A positive that is not drawn is no negative either."""
    chosen = choose(SCORED, select_positive=choice)
    assert (chosen.positives, chosen.negatives) == (positives, negatives)


def test_the_teachers_positive_may_be_one_of_neg() -> None:
    """The third key has the highest score: it is the positive, and no negative any more."""
    chosen = choose(SCORED, select_positive="teacher")
    assert (chosen.positives, chosen.negatives) == ([2], [3, 4])
    without_pos = row(neg=["c", "d", "e"], teacher_scores=[-1.0, 2.0, 0.0])
    chosen = choose(without_pos, select_positive="teacher", select_negative="teacher_high")
    assert (chosen.positives, chosen.negatives) == ([1], [2, 0])


@pytest.mark.parametrize(("choice", "negatives"), [("first", [2, 3, 4]), ("teacher_high", [2, 4, 3]), ("teacher_low", [3, 4, 2])])
def test_negatives_in_the_order_of_choice(choice: str, negatives: list[int]) -> None:
    assert choose(SCORED, select_negative=choice).negatives == negatives


def test_negatives_that_are_positives_or_twice_there_are_no_negatives() -> None:
    """By text, case and spaces aside; by place in the corpus; of another row of the same query; and each negative once."""
    first = row("1", query="Same query", pos=["The answer"], neg=["the  ANSWER", "c", "cut answer", "other", "C"])
    first = first.model_copy(update={"pos_index": [7], "neg_index": [8, 1, 7, 5, 2]})
    second = row("2", query="same  query", pos=["other"], neg=["d"])
    rows = select(first, second)
    assert [choice.negatives for choice in rows.rows["qa"]] == [[2], [1]]
    assert rows.rows["qa"][0].query == rows.rows["qa"][1].query
    assert rows.rows["qa"][0].groups[2] == rows.rows["qa"][0].groups[5]


def test_rows_that_a_rule_leaves_out_are_counted() -> None:
    low = row("1", pos=["a"], neg=["b"], teacher_scores=[-5.0, -6.0])
    near = row("2", pos=["a"], neg=["b"], teacher_scores=[1.0, 1.05])
    lonely = row("3", pos=["a"], teacher_scores=[3.0])
    same = row("4", pos=["a"], neg=["A"], teacher_scores=[3.0, 1.0])
    good = [row(str(i), pos=["a"], neg=["b"], teacher_scores=[1.0, -1.0]) for i in range(5, 9)]
    rows = select(low, near, lonely, same, *good, teacher_scores_min=-2.0, teacher_scores_margin=0.1, max_rows=3)
    assert len(rows.rows["qa"]) == 3
    assert rows.left_out["qa"] == {"teacher_scores_min": 1, "teacher_scores_margin": 1, "negatives": 2, "max_rows": 1}


def test_max_rows_are_drawn_by_seed_and_not_the_last_of_the_file() -> None:
    rows = [row(str(i), pos=[f"p{i}"], neg=["n"]) for i in range(40)]
    kept = [[choice.row.query_id for choice in select(*rows, max_rows=5, seed=seed).rows["qa"]] for seed in (1, 1, 2)]
    assert kept[0] == kept[1] != kept[2]
    assert kept[0] != [str(i) for i in range(35, 40)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distillation": "graded"}, "distillation: graded found, but row 1 of task qa has no teacher_scores"),
        ({"select_positive": "teacher"}, "select_positive: teacher found, but row 1 of task qa has no teacher_scores"),
        ({"select_negative": "teacher_low"}, "select_negative: teacher_low found, but row 1"),
        ({"teacher_scores_margin": 0.1}, "teacher_scores_margin: 0.1 found, but row 1"),
    ],
)
def test_scores_that_are_asked_for_must_be_there(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=f"^{message}"):
        select(row(pos=["a"], neg=["b"]), **changes)


def test_a_row_without_pos_needs_the_teacher() -> None:
    with pytest.raises(SettingError, match=r"^select_positive: first found, but row 1 of task qa has no pos; set teacher, or leave it out"):
        select(row(neg=["a", "b"]))


def test_a_rule_that_leaves_nothing_is_an_error() -> None:
    """As where the scores are of another scale than the rule was made for."""
    rows = [row(str(i), pos=["a"], neg=["b"], teacher_scores=[-2.0, -3.0]) for i in range(4)]
    with pytest.raises(
        SettingError, match=r"^teacher_scores_min: leaves out 4 of the 4 rows of task qa, and none stays; lower it, or set null"
    ):
        select(*rows, teacher_scores_min=0.5)
    assert select().rows == {}


def test_rows_are_those_of_their_task() -> None:
    """A task is what its rows say, whatever file or folder they are from; a task that is misspelt has no values of its own."""
    with pytest.raises(ValueError, match=r"^row 1 is of task qa, but stands among those of chat; group rows by their task"):
        select_rows({"chat": [row(pos=["a"], neg=["b"])]}, task_training_settings(), seed=1)
    with pytest.raises(SettingError, match=r"^overrides: chatt found, allowed are the tasks of the rows: qa"):
        select(row(pos=["a"], neg=["b"]), overrides={"chatt": {"copies": 2}})
