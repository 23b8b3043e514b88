"""PPO on a toy: starts at its reference, learns a reward, visits easy documents first, resumes exactly, stops at what is no number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.generators.ppo import PPO, PPOSettings
from tandem.generators.rewards import WeightedRewards
from tandem.generators.rollouts import Curriculum, Prompt
from tandem.interfaces import Reward
from tandem.llm.causal_lm import load_causal_lm
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

SETTINGS = PPOSettings(
    steps=30,
    batch_size=32,
    minibatch_size=16,
    epochs=2,
    learning_rate=5e-3,
    kl_coefficient=0.0,
    target_kl=None,
    temperature=1.0,
    max_new_tokens=6,
    missing_end_penalty=0.0,
    score_clip=4.0,
    clip=0.2,
    value_clip=0.2,
    value_coefficient=0.1,
    gamma=1.0,
    lam=0.95,
    max_grad_norm=1.0,
)


def wants_table(queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
    """1 where the query says 'table' (1 word of 60), so an untrained policy rarely earns it."""
    return [float("table" in query.split()) for query in queries]


def prompts(count: int = 8) -> list[Prompt]:
    return [Prompt("sort", "Document: sort the rows\nKeywords: \nQuery:", i / count) for i in range(count)]


def build(folder: Path, scratch: Path, *, reward: Reward = wants_table, **changes: Any) -> PPO:
    model, tokenizer = load_causal_lm(str(folder))
    compute = Compute(device="cpu", bf16=False, seed=3, scratch=scratch)
    rewards = WeightedRewards({"table": (1.0, reward)}, cap=3.0)
    return PPO(model, tokenizer, rewards, SETTINGS.model_copy(update=changes), lora=Lora(rank=8, alpha=16), compute=compute)


def in_order(order: Any) -> Curriculum:
    return Curriculum(prompts(), order, 3)


def test_several_responses_to_a_prompt(tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step visits as many prompts fewer; gradient steps hold all responses to a prompt."""
    ppo = build(tiny_generator, tmp_path, steps=2, batch_size=8, minibatch_size=4, epochs=1, responses=4)
    visited, rows = [], []
    roll_out, step = ppo.roll_out, ppo._step
    monkeypatch.setattr(ppo, "roll_out", lambda batch: visited.append([p.difficulty for p in batch]) or roll_out(batch))
    monkeypatch.setattr(ppo, "_step", lambda *a: rows.append(a[2].tolist()) or step(*a))
    history = ppo.train(in_order("easy_first"))
    assert visited == [[0.0] * 4 + [0.125] * 4, [0.25] * 4 + [0.375] * 4]
    assert sorted(map(sorted, rows[:2])) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert all(math.isfinite(value) for row in history for value in row.values())
    assert abs(history[0]["kl"]) < 1e-4
    with pytest.raises(ValueError, match="minibatch_size: 6 found, a multiple of responses, 4, is expected"):
        PPOSettings(**{**SETTINGS.model_dump(), "minibatch_size": 6, "responses": 4})


def test_learns_a_toy_reward(tiny_generator: Path, tmp_path: Path) -> None:
    history = build(tiny_generator, tmp_path).train(in_order("easy_first"))
    first, last = history[0]["reward"], sum(row["reward"] for row in history[-5:]) / 5
    assert first < 0.3
    assert last > 0.8
    assert abs(history[0]["kl"]) < 1e-4
    assert history[-1]["kl"] > 0.1
    assert [row["table_reward"] for row in history] == [row["reward"] for row in history]


def test_a_strong_kl_penalty_keeps_the_policy_near_its_reference(tiny_generator: Path, tmp_path: Path) -> None:
    free = build(tiny_generator, tmp_path, steps=10).train(in_order("easy_first"))
    (tmp_path / "ppo.pt").unlink()
    held = build(tiny_generator, tmp_path, steps=10, kl_coefficient=5.0).train(in_order("easy_first"))
    assert abs(held[-1]["kl"]) < abs(free[-1]["kl"])


def test_resumed_equals_uninterrupted(tiny_generator: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = build(tiny_generator, tmp_path / "a", steps=4, target_kl=1.0)
    history = whole.train(in_order("random"))
    build(tiny_generator, tmp_path / "b", steps=2, target_kl=1.0).train(in_order("random"))
    resumed = build(tiny_generator, tmp_path / "b", steps=4, target_kl=1.0)
    again = resumed.train(in_order("random"))
    assert again == history
    for left, right in zip(whole.trained, resumed.trained, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_easy_documents_are_visited_first(tiny_generator: Path, tmp_path: Path) -> None:
    history = build(tiny_generator, tmp_path, steps=4, batch_size=2, minibatch_size=2).train(in_order("easy_first"))
    assert [row["difficulty"] for row in history] == sorted(row["difficulty"] for row in history)


def test_a_response_that_does_not_end_is_penalised(tiny_generator: Path, tmp_path: Path) -> None:
    plain = build(tiny_generator, tmp_path, max_new_tokens=2)
    penal = build(tiny_generator, tmp_path, max_new_tokens=2, missing_end_penalty=1.0)
    scores = []
    for ppo in (plain, penal):
        torch.manual_seed(5)
        scores.append(ppo.roll_out(prompts(16)).metrics)
    assert scores[0]["ended"] == scores[1]["ended"]
    assert scores[0]["score"] - scores[1]["score"] == pytest.approx(1 - scores[0]["ended"], abs=1e-5)


def test_a_reward_that_is_no_number_ends_the_run(tiny_generator: Path, tmp_path: Path) -> None:
    """Under a cap it once passed, and every weight became none."""
    ppo = build(tiny_generator, tmp_path, reward=lambda queries, doc_ids: [math.nan] * len(queries))
    with pytest.raises(ValueError, match=r"reward table: nan found for query .* of document 'sort'"):
        ppo.train(in_order("easy_first"))


def test_a_loss_that_is_no_number_ends_the_run(tiny_generator: Path, tmp_path: Path) -> None:
    ppo = build(tiny_generator, tmp_path, steps=1)
    with torch.no_grad():
        ppo.policy.value_head.bias.fill_(math.inf)
    with pytest.raises(RuntimeError, match=r"PPO loss is (nan|inf): lower its learning_rate, 0.005, or check the rewards"):
        ppo.train(in_order("easy_first"))
