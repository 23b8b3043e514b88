"""The pretraining of the built-in generator, tiny: tasks, legs, resume, and what the collected text may not hold."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import collect_text
import pretrain
import pytest
import tasks
import torch
import train_tokenizer

ROWS = [
    {
        "summary": f"Return the {noun} of an array",
        "body": f"The {noun} is taken along an axis. Missing values are left out. It is {adjective}.",
    }
    for noun in ("mean", "sum", "median", "product", "maximum", "minimum")
    for adjective in ("a scalar", "an array of floats", "computed in double precision")
]
OPTIONS: dict[str, Any] = {
    "layers": 1,
    "hidden_size": 32,
    "heads": 2,
    "document_tokens": 32,
    "query_tokens": 16,
    "batch_size": 4,
    "legs": [200, 300],
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "document_loss_weight": 0.5,
    "summary_share": 0.5,
    "cloze_share": 0.3,
    "averaged_checkpoints": 2,
    "seed": 3,
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer.train([f"{row['summary']} {row['body']}" for row in ROWS], 400)


def test_targets_of_the_three_tasks() -> None:
    """A summary's target is the summary; a cloze's is a sentence that its document lacks, a copy's one that it has."""
    found: dict[tuple[str, bool], int] = {}
    for i in range(300):
        example = tasks.make_example(ROWS[i % len(ROWS)], {}, rng=random.Random(i), shares=(0.5, 0.3))
        if example is None:  # a text of which nothing is left without the sentence
            continue
        if example.label == "Query":
            assert example.target == ROWS[i % len(ROWS)]["summary"]
        key = (example.label, example.target.rstrip(".") in example.document)
        found[key] = found.get(key, 0) + 1
    assert set(found) == {("Query", False), ("Sentence", False), ("Sentence", True)}
    assert 110 < found["Query", False] < 190


def test_legs_learn_and_a_killed_run_ends_in_the_same_weights(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    model, curve = pretrain.train(ROWS, tokenizer, OPTIONS, "cpu", tmp_path / "whole")
    assert [point["step"] for point in curve] == list(range(20, 501, 20))
    assert curve[-1]["query_loss"] < 0.7 * curve[0]["query_loss"]

    step = pretrain.train_step
    steps = 0

    def killed(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 450:  # in the second leg, with a checkpoint within it
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(pretrain, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(ROWS, tokenizer, OPTIONS, "cpu", tmp_path / "killed")
    resumed, again = pretrain.train(ROWS, tokenizer, OPTIONS, "cpu", tmp_path / "killed")
    assert steps == 450 + 100
    assert [point["step"] for point in again] == [point["step"] for point in curve]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_a_leg_starts_from_the_mean_of_the_one_before(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, _ = pretrain.train(ROWS, tokenizer, {**OPTIONS, "legs": [200]}, "cpu", tmp_path / "one")
    again, _ = pretrain.train(ROWS, tokenizer, {**OPTIONS, "legs": [200, 0]}, "cpu", tmp_path / "two")
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)


def test_what_the_quickstart_has_is_recognised() -> None:
    text = "one two three four five six seven eight nine ten"
    barred = collect_text.shingle_hashes(text)
    assert collect_text.overlap(text, barred) == 1
    assert collect_text.overlap(f"zero {text}", barred) == 3 / 4
    assert collect_text.overlap("ten nine eight seven six five four three two one", barred) == 0
    assert collect_text.overlap("too short", barred) == 0
