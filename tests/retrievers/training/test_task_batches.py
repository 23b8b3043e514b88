"""Batches of one task: how many, of which rows, in which order; the same for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest

from tandem.retrievers.training.task_batches import order_batches
from tandem.settings import SettingError

VISITS = {"qa": list(range(10)), "chat": list(range(5)), "tool": []}
ONE_TASK: list[Any] = ["epoch", "epoch_static", "random", "epoch_random"]


def batches(kind: Any, number: int, *, size: int = 3, seed: int = 1, visits: Any = None) -> list[list[tuple[str, int]]]:
    return order_batches(visits or VISITS, kind, size=size, number=number, seed=seed)


@pytest.mark.parametrize("kind", ONE_TASK)
def test_a_batch_is_of_one_task_and_whole(kind: Any) -> None:
    found = batches(kind, 50)
    assert [len(batch) for batch in found] == [3] * 50
    assert all(len({task for task, _ in batch}) == 1 for batch in found)
    assert all(len(set(batch)) == 3 for batch in found)
    assert {task for batch in found for task, _ in batch} == {"qa", "chat"}
    assert {place for batch in found for place in batch} == {(task, i) for task, places in VISITS.items() for i in places} or (
        kind == "epoch_static"  # what is left of its one parting never comes
    )


@pytest.mark.parametrize("kind", [*ONE_TASK, "off"])
def test_the_seed_decides_and_more_steps_add_to_the_end(kind: Any) -> None:
    assert batches(kind, 20) == batches(kind, 20)
    assert batches(kind, 20) != batches(kind, 20, seed=2)
    assert batches(kind, 40)[:20] == batches(kind, 20)


@pytest.mark.parametrize("kind", ["epoch", "epoch_static", "epoch_random"])
def test_a_pass_has_no_row_twice_and_leaves_remainders_out(kind: Any) -> None:
    """Ten rows are three batches of three, five are one: a pass is four batches."""
    found = batches(kind, 40)
    for start in range(0, 40, 4):
        rows = list(chain.from_iterable(found[start : start + 4]))
        assert len(set(rows)) == 12
        assert Counter(task for task, _ in rows) == {"qa": 9, "chat": 3}


def test_batches_stay_or_are_parted_anew() -> None:
    def parts(kind: Any, start: int) -> set[frozenset[tuple[str, int]]]:
        return {frozenset(batch) for batch in batches(kind, 8)[start : start + 4]}

    assert parts("epoch_static", 0) == parts("epoch_static", 4)
    assert parts("epoch", 0) != parts("epoch", 4)
    orders = [[batch[0] for batch in batches("epoch_static", 40)[start : start + 4]] for start in range(0, 40, 4)]
    assert len({tuple(order) for order in orders}) > 1


def test_random_tasks_come_by_their_number_of_rows() -> None:
    tasks = Counter(batch[0][0] for batch in batches("random", 3000))
    assert tasks["qa"] / 3000 == pytest.approx(2 / 3, abs=0.03)


def test_more_visits_are_more_batches() -> None:
    found = batches("epoch", 6, visits={"qa": list(range(9)), "chat": list(range(3)) * 3})
    assert Counter(batch[0][0] for batch in found) == {"qa": 3, "chat": 3}
    assert Counter(place for batch in found for place in batch if place[0] == "chat") == {("chat", i): 3 for i in range(3)}


def test_mixed_batches_have_rows_of_all_tasks() -> None:
    found = batches("off", 10)
    assert any(len({task for task, _ in batch}) > 1 for batch in found)
    for start in (0, 5):
        assert len(set(chain.from_iterable(found[start : start + 5]))) == 15


def test_too_few_rows_for_a_batch_are_said() -> None:
    with pytest.raises(
        SettingError, match=r"^batch_size: 6 rows a step found over all processes, but the rows of task chat are 5; set fewer"
    ):
        batches("epoch", 1, size=6)
    assert len(batches("off", 1, size=15)) == 1
    with pytest.raises(SettingError, match=r"^batch_size: 16 rows a step found over all processes, but all rows are 15"):
        batches("off", 1, size=16)
