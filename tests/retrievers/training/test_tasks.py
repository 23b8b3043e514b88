"""Training of a retriever of tasks: what is learnt, in which precision, and what a kill costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import QUERIES, TEXTS
from makers import compute_in, task_encoder_settings, task_training_settings

from tandem.records import TaskRow
from tandem.retrievers.dense import save_dense
from tandem.retrievers.task_encoder import build_task_encoder, encode_texts, load_task_encoder
from tandem.retrievers.training.tasks import batches_in_order, train_task_retriever
from tandem.settings import SettingError

NAMES = list(TEXTS)
DIALOGUES = ["ascending values", "numbers axis", "match both", "square system", "time zones", "given points"]
PRECISIONS = pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])


def qa_rows() -> list[TaskRow]:
    """Every document but a query's own is a negative, the farther the worse by the teacher."""
    rows = []
    for name, query in QUERIES.items():
        others = [other for other in NAMES if other != name]
        scores = [2.0, *(-float(i) for i in range(len(others)))]
        rows.append(
            TaskRow(query_id=name, task="qa", query=query, pos=[TEXTS[name]], neg=[TEXTS[o] for o in others], teacher_scores=scores)
        )
    return rows


def chat_rows() -> list[TaskRow]:
    """No labels: the teacher alone says that the document after the one with the query's words serves it."""
    rows = []
    for i, query in enumerate(DIALOGUES):
        scores = [4.0 if j == (i + 1) % 6 else -float((j - i) % 6) for j in range(6)]
        rows.append(TaskRow(query_id=str(i), task="chat", query=query, neg=list(TEXTS.values()), teacher_scores=scores))
    return rows


ROWS = {"qa": qa_rows(), "chat": chat_rows()}
CHAT = {"select_positive": "teacher", "contrastive_weight": 0.0, "distillation": "kl"}


def rising() -> Callable[[Any], list[float]]:
    """A dev score that is higher each time it is taken."""
    values = iter(range(100))
    return lambda _: [float(next(values))]


def train(encoder: Path, scratch: Path, *, dev_score: Any = None, bf16: bool = False, rows: Any = None, **changes: Any) -> Any:
    """A trained encoder, and what training did."""
    names = ("pooling", "dense", "similarity")
    model = build_task_encoder(task_encoder_settings(encoder, **{name: changes.pop(name) for name in names if name in changes}))
    rows = ROWS if rows is None else rows
    settings = task_training_settings(**{"overrides": {"chat": CHAT} if "chat" in rows else {}, **changes})
    trained = train_task_retriever(model, rows, settings, dev_score=dev_score or rising(), compute=compute_in(scratch, bf16=bf16))
    return model, trained


def first_of(model: Any, task: str) -> list[int]:
    """The place of the best key for each query."""
    similarities = (
        encode_texts(model, [row.query for row in ROWS[task]], task, "query") @ encode_texts(model, list(TEXTS.values()), task, "key").T
    )
    return np.argmax(similarities, axis=1).tolist()


@PRECISIONS
@pytest.mark.parametrize(("similarity", "temperature"), [("cosine", 0.05), ("dot", 2.0)])
def test_each_task_is_learnt_from_its_own_labels_or_teacher(
    tiny_encoder: Path, tmp_path: Path, bf16: bool, similarity: str, temperature: float
) -> None:
    """One task has labels and InfoNCE, the other no label and a teacher, whose best key has none of the query's words."""
    changes: dict[str, Any] = {"steps": 40, "batch_size": 6, "keys_per_query": 5, "learning_rate": 3e-3}
    model, trained = train(tiny_encoder, tmp_path, bf16=bf16, temperature=temperature, similarity=similarity, **changes)
    assert trained.best_step == 40
    assert sum(place == i for i, place in enumerate(first_of(model, "qa"))) >= 5
    assert sum(place == (i + 1) % 6 for i, place in enumerate(first_of(model, "chat"))) >= 5


@PRECISIONS
@pytest.mark.parametrize("distillation", ["kl", "graded", "graded_uniform"])
def test_every_distillation_lowers_its_loss(tiny_encoder: Path, tmp_path: Path, bf16: bool, distillation: str) -> None:
    changes: dict[str, Any] = {"distillation": distillation, "contrastive_weight": 0.2, "overrides": {}, "steps": 20, "batch_size": 6}
    model, trained = train(tiny_encoder, tmp_path, bf16=bf16, rows={"qa": ROWS["qa"]}, **changes)
    assert trained.loss[-1][1] < trained.loss[0][1]
    assert all(value.isfinite().all() for value in model.state_dict().values())


@PRECISIONS
def test_the_trained_weights_are_float32(tiny_encoder: Path, tmp_path: Path, bf16: bool) -> None:
    """Steps of 1e-6 move weights of .01, which half a precision has in steps of 4e-5 or more: they would stay where they were."""
    start = build_task_encoder(task_encoder_settings(tiny_encoder)).state_dict()
    model, _ = train(tiny_encoder, tmp_path, bf16=bf16, steps=2, learning_rate=1e-6, warmup_ratio=0.0)
    weights = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
    assert {value.dtype for value in weights.values()} == {torch.float32}
    name = next(name for name in weights if name.endswith("query.weight"))
    moved = (weights[name] - start[name]).abs()
    assert 0 < moved.max() < 1e-5
    assert (weights[name].bfloat16() == start[name].bfloat16()).float().mean() > 0.9


@PRECISIONS
def test_resumed_equals_uninterrupted(tiny_encoder: Path, tmp_path: Path, bf16: bool) -> None:
    whole, trained = train(tiny_encoder, tmp_path / "a", bf16=bf16)
    assert [step for step, _ in trained.dev] == [0, 5, 10]
    calls = iter([0.0, 1.0])

    def killed(_: Any) -> list[float]:
        return [next(calls)]  # a third call, at step 10, raises: the run dies after its checkpoint at step 5

    with pytest.raises(StopIteration):
        train(tiny_encoder, tmp_path / "b", dev_score=killed, bf16=bf16)
    assert [path.name for path in (tmp_path / "b/checkpoints").glob("checkpoint-*")] == ["checkpoint-5"]
    later = iter([0.0, 2.0])
    resumed, trained = train(tiny_encoder, tmp_path / "b", dev_score=lambda _: [next(later)], bf16=bf16)
    assert trained.best_step == 10
    for (name, left), right in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0, msg=name)


def test_the_seed_decides(tiny_encoder: Path, tmp_path: Path) -> None:
    first, second = (train(tiny_encoder, tmp_path / name)[0].state_dict() for name in ("a", "b"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    model = build_task_encoder(task_encoder_settings(tiny_encoder))
    settings = task_training_settings(overrides={"chat": CHAT})
    train_task_retriever(model, ROWS, settings, dev_score=rising(), compute=compute_in(tmp_path / "c", seed=2))
    assert any(not torch.equal(value, first[name]) for name, value in model.state_dict().items())


@PRECISIONS
def test_a_trained_encoder_is_saved_whole(tiny_encoder: Path, tmp_path: Path, bf16: bool) -> None:
    """Its linear layer, which was trained too, included; after bfloat16 search is in float32."""
    model, _ = train(tiny_encoder, tmp_path / "scratch", bf16=bf16, dense=True, pooling="cls")
    assert (model[2].linear.weight - torch.eye(32)).abs().max() > 1e-3
    save_dense(model, tmp_path / "model")
    loaded = load_task_encoder(tmp_path / "model")
    for task in ("qa", "chat"):
        for role, texts in (("query", list(QUERIES.values())), ("key", list(TEXTS.values()))):
            vectors = encode_texts(model, texts, task, role)  # type: ignore[arg-type]
            assert vectors.dtype == np.float32
            np.testing.assert_allclose(encode_texts(loaded, texts, task, role), vectors, atol=1e-5)  # type: ignore[arg-type]


def test_training_reads_what_search_reads(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Token ids of a step's texts, instructions and lengths included."""
    from tandem.retrievers.training.task_loss import TaskLoss

    seen: list[tuple[Any, Any]] = []
    forward = TaskLoss.forward

    def listening(self: Any, features: Any, labels: Any) -> Any:
        seen.append(([column["input_ids"].clone() for column in features], [self.rows.columns[name][labels[0]] for name in names]))
        return forward(self, features, labels)

    names = ("query", "key_1", "key_2", "key_3")
    monkeypatch.setattr(TaskLoss, "forward", listening)
    long = [row.model_copy(update={"query": f"{row.query} " * 9, "pos": [f"{TEXTS[row.query_id]} " * 3]}) for row in ROWS["qa"]]
    model, _ = train(tiny_encoder, tmp_path, rows={"qa": long}, batch_size=1, steps=4, overrides={})
    assert len(seen) == 4
    widths = set()
    for ids, texts in seen:
        for column, text, task in zip(ids, texts, ("query", *["document"] * 3), strict=True):
            prompt = model.prompts["qa_query" if task == "query" else "qa_key"]
            assert text.startswith(prompt)
            expected = model.preprocess([text.removeprefix(prompt)], prompt=prompt, task=task)["input_ids"]
            assert torch.equal(column, expected)
            widths.add((task, column.shape[1]))
    assert {("query", 16), ("document", 24)} <= widths


def test_batches_are_taken_in_order_and_counted(tiny_encoder: Path) -> None:
    sampler = batches_in_order(list(range(10)), batch_size=3, drop_last=True)
    assert list(sampler) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert len(sampler) == 3


def test_what_does_not_fit_is_said_before_training(tiny_encoder: Path, tmp_path: Path) -> None:
    unscored = {"qa": [row.model_copy(update={"teacher_scores": None}) for row in ROWS["qa"]]}
    with pytest.raises(SettingError, match=r"^distillation: graded found, but row sort of task qa has no teacher_scores") as error:
        train(tiny_encoder, tmp_path, rows=unscored, distillation="graded")
    assert error.value.settings is not None
    with pytest.raises(SettingError, match=r"^instructions: none found for task tool, the encoder knows chat, qa"):
        train(tiny_encoder, tmp_path, rows={"tool": [row.model_copy(update={"task": "tool"}) for row in ROWS["qa"]]})
    with pytest.raises(SettingError, match=r"^batch_size: 7 rows a step"):
        train(tiny_encoder, tmp_path, batch_size=7)
    for change, message in (("prompt", r"^encoder: its pooling leaves prompts out"), ("euclidean", r"^similarity: euclidean found")):
        model = build_task_encoder(task_encoder_settings(tiny_encoder))
        model.set_pooling_include_prompt(change != "prompt")
        model.similarity_fn_name = "cosine" if change == "prompt" else change
        with pytest.raises(SettingError, match=message):
            train_task_retriever(model, {"qa": ROWS["qa"]}, task_training_settings(), dev_score=rising(), compute=compute_in(tmp_path))
    assert not any(tmp_path.iterdir())


def test_with_no_row_the_encoder_stays(tiny_encoder: Path, tmp_path: Path) -> None:
    _, trained = train(tiny_encoder, tmp_path, rows={"qa": []})
    assert (trained.loss, trained.best_step) == ([], 0)
