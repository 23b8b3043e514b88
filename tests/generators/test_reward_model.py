"""The reward model: learns, is gated by pairs of other documents, is the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import prompted

from tandem.generators.reward_model import RewardModelSettings, fit_reward_model, load_reward_model, pair_accuracy
from tandem.generators.rewards import ModelReward
from tandem.llm.causal_lm import load_causal_lm
from tandem.records import Document, PreferencePair
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

PROMPT = prompted().prompt
SETTINGS = RewardModelSettings(
    epochs=1,
    batch_size=8,
    learning_rate=1e-3,
    center_coefficient=0.0,
    min_accuracy=0.0,
    min_pairs=5,
    lora=Lora(rank=4, alpha=8),
)
PREFERENCES = [
    PreferencePair(doc_id=doc_id, chosen=chosen, rejected=rejected, kind="valid_over_invalid")
    for doc_id, chosen, rejected in [
        ("sort", "order a table", "a line chart"),
        ("mean", "average of an array", "a line on axes"),
        ("join", "merge two tables", "two line axes"),
        ("solve", "solve linear equations", "a line of axes"),
    ]
] * 6


def compute(scratch: Path) -> Compute:
    return Compute(device="cpu", bf16=False, seed=1, scratch=scratch)


def test_it_learns_gates_and_reloads(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    texts = {document.doc_id: document.text for document in corpus}
    held_out = [PreferencePair(doc_id="parse", chosen="order a table", rejected="a line chart", kind="hard_over_easy")]
    folder, changes = tmp_path / "reward", {"epochs": 8, "learning_rate": 1e-2, "center_coefficient": 0.01, "min_accuracy": 0.9}
    settings = SETTINGS.model_copy(update=changes)
    loss, gate = fit_reward_model(
        tiny_generator, PREFERENCES, held_out, texts, folder, settings, prompt=PROMPT, compute=compute(tmp_path / "scratch")
    )
    assert loss[-1][1] < loss[0][1]
    assert gate["passed"]
    assert gate["accuracy_hard_over_easy"] == 1.0
    _, tokenizer = load_causal_lm(str(tiny_generator))
    reward = ModelReward(load_reward_model(str(folder), tokenizer), tokenizer, texts, PROMPT)
    together = reward(["order a table", "a line chart"], ["sort"] * 2)
    alone = [reward([query], ["sort"])[0] for query in ("order a table", "a line chart")]
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[0] > together[1]
    with torch.inference_mode():
        for query, score in zip(("order a table", "a line chart"), together, strict=True):
            (prompt,) = reward.prompts.render([texts["sort"]], [""])
            whole = tokenizer([f"{prompt} {query}{tokenizer.eos_token}"], return_tensors="pt")
            assert float(reward.model(**whole).logits) == pytest.approx(score, abs=1e-5), "as it was trained to read them"


def test_the_gate_stays_shut(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    """With too few pairs to train on, or too low an accuracy on those held out; with none at all, though none is asked for."""
    texts = {document.doc_id: document.text for document in corpus}
    for count, changes in ((3, {}), (24, {"min_accuracy": 1.1}), (0, {"min_pairs": 0})):
        settings = SETTINGS.model_copy(update={"learning_rate": 1e-4, **changes})
        _, gate = fit_reward_model(
            tiny_generator,
            PREFERENCES[:count],
            PREFERENCES[:2],
            texts,
            tmp_path / f"{count}",
            settings,
            prompt=PROMPT,
            compute=compute(tmp_path / "s"),
        )
        assert not gate["passed"]


def test_the_same_seed_gives_the_same_reward_model(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    """Its head is new and random: drawn before the seed was set, it once differed from run to run."""
    texts = {document.doc_id: document.text for document in corpus}
    for name in ("first", "second"):
        torch.rand(7)  # whatever was drawn before
        scratch = tmp_path / f"scratch-{name}"
        fit_reward_model(
            tiny_generator, PREFERENCES, PREFERENCES[:2], texts, tmp_path / name, SETTINGS, prompt=PROMPT, compute=compute(scratch)
        )
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second


def test_pair_accuracy_counts_ties_a_half() -> None:
    accuracy = pair_accuracy(PREFERENCES[:2], lambda queries, doc_ids: [0.0] * len(queries))
    assert accuracy["accuracy"] == 0.5
    assert pair_accuracy([], lambda queries, doc_ids: [0.0] * len(queries)) == {}
