"""PPO on a toy: starts at its reference, learns a reward, visits easy documents first, resumes exactly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.generators.base import load_generator
from tandem.generators.ppo import PPO
from tandem.generators.rollouts import Prompt, curriculum


def wants_table(documents: Sequence[str], queries: Sequence[str]) -> list[float]:
    """1 where the query says 'table' (1 word of 60), so an untrained policy rarely earns it."""
    return [float("table" in query.split()) for query in queries]


def prompts(number: int = 8) -> list[Prompt]:
    return [Prompt("sort the rows", "Document: sort the rows\nKeywords: \nQuery:", i / number) for i in range(number)]


def build(folder: Path, **changes: Any) -> PPO:
    model, tokenizer = load_generator(str(folder))
    settings: dict[str, Any] = {
        "batch_size": 32,
        "minibatch_size": 16,
        "epochs": 2,
        "learning_rate": 5e-3,
        "lora_rank": 8,
        "lora_alpha": 16,
        "kl_coefficient": 0.0,
        "max_new_tokens": 6,
        "missing_end_penalty": 0.0,
        "seed": 3,
    }
    return PPO(model=model, tokenizer=tokenizer, reward=wants_table, **{**settings, **changes})


def test_learns_a_toy_reward(tiny_generator: Path, tmp_path: Path) -> None:
    history = build(tiny_generator).train(prompts(), steps=30, order="easy_first", scratch=tmp_path)
    first, last = history[0]["reward"], sum(row["reward"] for row in history[-5:]) / 5
    assert first < 0.3
    assert last > 0.8
    assert abs(history[0]["kl"]) < 1e-4
    assert history[-1]["kl"] > 0.1


def test_a_strong_kl_penalty_keeps_the_policy_near_its_reference(tiny_generator: Path, tmp_path: Path) -> None:
    free = build(tiny_generator).train(prompts(), steps=10, order="easy_first", scratch=tmp_path)
    (tmp_path / "ppo.pt").unlink()
    held = build(tiny_generator, kl_coefficient=5.0).train(prompts(), steps=10, order="easy_first", scratch=tmp_path)
    assert abs(held[-1]["kl"]) < abs(free[-1]["kl"])


def test_resumed_equals_uninterrupted(tiny_generator: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = build(tiny_generator, target_kl=1.0)
    history = whole.train(prompts(), steps=4, order="random", scratch=tmp_path / "a")
    build(tiny_generator, target_kl=1.0).train(prompts(), steps=2, order="random", scratch=tmp_path / "b")
    resumed = build(tiny_generator, target_kl=1.0)
    again = resumed.train(prompts(), steps=4, order="random", scratch=tmp_path / "b")
    assert again == history
    for left, right in zip(whole.trained, resumed.trained, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_the_curriculum_visits_easy_documents_first(tiny_generator: Path, tmp_path: Path) -> None:
    batches = list(islice(curriculum(prompts(), batch_size=2, order="easy_first", seed=0), 4))
    visited = [prompt.difficulty for batch in batches for prompt in batch]
    assert visited == sorted(visited)
    hard = list(islice(curriculum(prompts(), batch_size=2, order="hard_first", seed=0), 4))
    assert [p.difficulty for b in hard for p in b] == sorted(visited, reverse=True)
    mixed = list(islice(curriculum(prompts(), batch_size=2, order="random", seed=0), 4))
    assert sorted(p.difficulty for b in mixed for p in b) == visited
    history = build(tiny_generator, batch_size=2, minibatch_size=2).train(prompts(), steps=4, order="easy_first", scratch=tmp_path)
    assert [row["difficulty"] for row in history] == sorted(row["difficulty"] for row in history)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: easy_first, hard_first, random"):
        next(curriculum(prompts(), batch_size=2, order="easiest", seed=0))


def test_a_response_that_does_not_end_is_penalised(tiny_generator: Path) -> None:
    plain = build(tiny_generator, max_new_tokens=2)
    penal = build(tiny_generator, max_new_tokens=2, missing_end_penalty=1.0)
    scores = []
    for ppo in (plain, penal):
        torch.manual_seed(5)
        scores.append(ppo.roll_out(prompts(16)).metrics)
    assert scores[0]["ended"] == scores[1]["ended"]
    assert scores[0]["score"] - scores[1]["score"] == pytest.approx(1 - scores[0]["ended"], abs=1e-5)


def test_log_probs_are_of_the_sampling_distribution(tiny_generator: Path) -> None:
    """A batch padded on the left has the log-probabilities that each row has alone, at the rollout's temperature."""
    ppo = build(tiny_generator, temperature=0.5)
    mixed = [Prompt("", "Document: sort\nQuery:", 0.0), Prompt("", "Document: sort the rows of a table\nQuery:", 0.0)]
    torch.manual_seed(1)
    rollout = ppo.roll_out(mixed)
    for i, prompt in enumerate(mixed):
        ids = ppo.tokenizer(prompt.text)["input_ids"]
        length = int(rollout.mask[i].sum())
        response = rollout.ids[i, rollout.prompt_tokens :][:length]
        with torch.no_grad():
            logits = ppo.policy(torch.tensor([[*ids, *response.tolist()]])).logits[0, len(ids) - 1 : -1] / 0.5
        alone = logits.log_softmax(-1).gather(1, response.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(rollout.log_probs[i, :length], alone, atol=1e-4, rtol=1e-4)
