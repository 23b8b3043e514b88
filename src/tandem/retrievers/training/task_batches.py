"""Which rows make which batch, where a retriever has several tasks: batches of one task each, or of all tasks mixed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from tandem.retrievers.training.task_settings import Batches
from tandem.settings import SettingError

__all__ = ["order_batches"]

Place = tuple[str, int]
"""a task and the place of a row among its rows"""


def order_batches(visits: Mapping[str, Sequence[int]], batches: Batches, *, size: int, number: int, seed: int) -> list[list[Place]]:
    """So many whole batches, pass after pass; the rows that are left of a pass without filling a batch are not in it.

    Args:
        visits: by task the places of its rows in a pass, some more than once where a task is to be seen more often.
        batches: how they are made, see :class:`tandem.retrievers.training.task_settings.TaskTrainingSettings`.
        size: rows of a batch, those of all processes.
        number: of batches.
        seed: of every draw.

    Raises:
        SettingError: a task, or with mixed batches all tasks together, have too few rows for one batch.
    """
    given = {task: list(places) for task, places in sorted(visits.items()) if places}
    counts = {task: len(places) for task, places in given.items()} if batches != "off" else {"all": sum(map(len, given.values()))}
    for task, count in counts.items():
        if count < size:
            whose = f"the rows of task {task}" if batches != "off" else "all rows"
            problem = f"{size} rows a step found over all processes, but {whose} are {count}; set fewer, more copies, or add rows"
            raise SettingError("batch_size", problem)
    rng = random.Random(f"batches:{seed}")
    passes = {"epoch": _epochs, "epoch_static": _static_epochs, "random": _random, "epoch_random": _random_epochs, "off": _mixed}
    return list(islice(passes[batches](given, size, rng), number))


def _epochs(visits: Mapping[str, list[int]], size: int, rng: random.Random) -> Iterator[list[Place]]:
    while True:
        order = _part(visits, size, rng)
        rng.shuffle(order)
        yield from order


def _static_epochs(visits: Mapping[str, list[int]], size: int, rng: random.Random) -> Iterator[list[Place]]:
    order = _part(visits, size, rng)
    while True:
        rng.shuffle(order)
        yield from order


def _part(visits: Mapping[str, list[int]], size: int, rng: random.Random) -> list[list[Place]]:
    """Each task's rows in whole batches, in an order of their own."""
    parts = []
    for task, places in visits.items():
        drawn = rng.sample(places, len(places))
        parts += [[(task, place) for place in drawn[i : i + size]] for i in range(0, len(drawn) - size + 1, size)]
    return parts


def _random(visits: Mapping[str, list[int]], size: int, rng: random.Random) -> Iterator[list[Place]]:
    tasks, weights = list(visits), [len(places) for places in visits.values()]
    while True:
        (task,) = rng.choices(tasks, weights)
        yield [(task, place) for place in rng.sample(visits[task], size)]


def _random_epochs(visits: Mapping[str, list[int]], size: int, rng: random.Random) -> Iterator[list[Place]]:
    """A task by the number of rows that it has left, until none has a batch left."""
    while True:
        left = {task: rng.sample(places, len(places)) for task, places in visits.items()}
        while left:
            (task,) = rng.choices(list(left), [len(places) for places in left.values()])
            yield [(task, left[task].pop()) for _ in range(size)]
            if len(left[task]) < size:
                del left[task]


def _mixed(visits: Mapping[str, list[int]], size: int, rng: random.Random) -> Iterator[list[Place]]:
    everything = [(task, place) for task, places in visits.items() for place in places]
    while True:
        rng.shuffle(everything)
        yield from (everything[i : i + size] for i in range(0, len(everything) - size + 1, size))
