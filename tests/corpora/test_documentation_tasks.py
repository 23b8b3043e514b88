"""Six tasks from the documentation of packages that every installation of this program has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tandem.corpora.documentation_tasks import SPLITS, TASKS, DocumentationSettings, Split, TaskData, build_tasks
from tandem.records import TaskQuery, TaskRow
from tandem.settings import SettingError
from tandem.text import answer_tokens, holds_answer, normalize_query

PACKAGES: dict[Split, list[str]] = {"train": ["networkx"], "dev": ["pandas"], "test": ["scipy"]}


def settings(**changes: Any) -> DocumentationSettings:
    values: dict[str, Any] = {f"{split}_packages": PACKAGES[split] for split in SPLITS}
    values |= {"objects_per_package": 150, "train_rows": 30, "dev_rows": 10, "test_rows": 20}
    return DocumentationSettings(**{**values, **changes})


@pytest.fixture(scope="module")
def tasks() -> dict[str, TaskData]:
    return build_tasks(settings(), seed=3)


def rows_of(task: TaskData) -> Iterator[tuple[Split, TaskRow | TaskQuery]]:
    yield from (("train", row) for row in task.train)
    yield from (("dev", row) for row in task.dev)
    yield from (("test", row) for row in task.test)


def test_every_task_has_rows_within_its_bounds(tasks: dict[str, TaskData]) -> None:
    assert set(tasks) == set(TASKS) == {"qa", "convsearch", "chat", "lrlm", "icl", "tool"}
    for task in tasks.values():
        assert 0 < len(task.train) <= 30
        assert 0 < len(task.dev) <= 10
        assert 0 < len(task.test) <= 20
        ids = [row.query_id for _, row in rows_of(task)]
        assert len(set(ids)) == len(ids)
        assert {row.task for _, row in rows_of(task)} == {task.name}
        assert all(row.answers for _, row in rows_of(task))


def test_a_package_is_in_one_split_alone(tasks: dict[str, TaskData]) -> None:
    """Neither rows nor keys are shared; and no key nearly repeats one of another split, as equal texts would."""
    for task in tasks.values():
        for split, row in rows_of(task):
            assert row.query_id.split(":")[1].split(".")[0] in PACKAGES[split]
        texts = {split: {normalize_query(key) for key in task.corpora[split]} for split in SPLITS}
        assert not (texts["train"] | texts["dev"]) & texts["test"]
        assert not texts["train"] & texts["dev"]


def test_places_are_of_the_split_s_corpus(tasks: dict[str, TaskData]) -> None:
    for name in ("qa", "convsearch", "tool"):
        task = tasks[name]
        for split, row in rows_of(task):
            (place,) = row.pos_index or ()
            key = task.corpora[split][place]
            assert holds_answer(answer_tokens(key), [answer_tokens(row.answers[0])]), (row, key)
            if isinstance(row, TaskRow):
                assert (row.pos, row.neg) == ([key], [])


def test_questions_do_not_hold_their_answers(tasks: dict[str, TaskData]) -> None:
    for name in ("qa", "tool"):
        for _, row in rows_of(tasks[name]):
            assert not holds_answer(answer_tokens(row.query), [answer_tokens(row.answers[0])]), row
    assert all(key.count("(") for key in tasks["tool"].corpora["test"])


def test_last_turns_need_the_turns_before(tasks: dict[str, TaskData]) -> None:
    for _, row in rows_of(tasks["convsearch"]):
        *earlier, last = row.query.split("\n")
        assert 1 <= len(earlier) <= 2
        assert len(last.split()) <= 7
        assert last.startswith(("And ", "What about "))


def test_examples_have_labels_and_no_row_its_example(tasks: dict[str, TaskData]) -> None:
    task = tasks["icl"]
    for split, row in rows_of(task):
        text = row.query.rsplit("\n", 1)[0]
        assert not [key for key in task.corpora[split] if key.startswith(text + "\n")]
        if isinstance(row, TaskRow):
            assert (row.pos, row.pos_index) == ([], None)
            assert row.neg == [task.corpora[split][place] for place in row.neg_index or ()]
            assert len(row.neg) > 1
        else:
            form = row.query.rsplit("\n", 1)[1]
            like = [place for place, key in enumerate(task.corpora[split]) if key.endswith(f"\n{form} {row.answers[0]}")]
            assert row.pos_index == like


def test_keys_of_chat_and_lrlm_are_their_rows_own(tasks: dict[str, TaskData]) -> None:
    """Nobody has said which help, so there are no positives; a key is neither the query nor the answer."""
    for name in ("chat", "lrlm"):
        assert all(not tasks[name].corpora[split] for split in SPLITS)
        for _, row in rows_of(tasks[name]):
            keys = row.neg if isinstance(row, TaskRow) else row.key or []
            assert 1 < len(keys) <= 10
            assert row.pos_index is None or row.pos_index == []
            assert not {row.query, row.answers[0]} & set(keys)
    assert {len(row.query.split()) for row in tasks["lrlm"].train} == {64}


def test_the_same_seed_gives_the_same_rows() -> None:
    small = {"objects_per_package": 60, "train_rows": 8, "dev_rows": 8, "test_rows": 8}
    first, again, other = (build_tasks(settings(**small), seed=seed) for seed in (3, 3, 5))
    assert first == again
    assert first["qa"].train != other["qa"].train


def test_packages_that_do_not_do() -> None:
    with pytest.raises(ValueError, match="'scipy' found twice"):
        settings(dev_packages=["scipy"])
    with pytest.raises(ValueError, match="test_packages"):
        settings(test_packages=[])
    with pytest.raises(SettingError, match=r"train_packages: json found, of whose documentation no row of task \w+ can be made"):
        build_tasks(settings(train_packages=["json"], objects_per_package=20), seed=3)
