"""RLOO and GRPO on a toy: learn a reward, visit easy documents first, penalise what does not end, resume exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.generators.grpo import GroupSettings, optimise_in_groups
from tandem.generators.rewards import WeightedRewards
from tandem.generators.rollouts import Curriculum, Prompt
from tandem.interfaces import Reward
from tandem.llm.causal_lm import load_causal_lm
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

SETTINGS = GroupSettings(
    steps=4,
    prompts_per_step=2,
    responses=16,
    updates=2,
    learning_rate=1e-2,
    kl_coefficient=0.0,
    clip=0.2,
    temperature=1.0,
    max_new_tokens=6,
    missing_end_penalty=0.0,
    max_grad_norm=1.0,
)


def wants_table(queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
    """1 where the query says 'table' (1 word of 60), so an untrained policy rarely earns it."""
    assert len(doc_ids) == len(queries)
    return [float("table" in query.split()) for query in queries]


def prompts(count: int = 8) -> list[Prompt]:
    return [Prompt(f"document {i}", "Document: sort the rows\nKeywords: \nQuery:", i / count) for i in reversed(range(count))]


def optimise(
    folder: Path, scratch: Path, algorithm: Any, *, order: Any = "easy_first", reward: Reward = wants_table, **changes: Any
) -> tuple[Any, list[dict[str, float]]]:
    model, tokenizer = load_causal_lm(str(folder))
    return optimise_in_groups(
        model,
        tokenizer,
        Curriculum(prompts(), order, 3),
        WeightedRewards({"table": (1.0, reward)}, cap=3.0),
        SETTINGS.model_copy(update=changes),
        algorithm=algorithm,
        lora=Lora(rank=8, alpha=16),
        compute=Compute(device="cpu", bf16=False, seed=3, scratch=scratch),
    )


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_learns_a_toy_reward(tiny_generator: Path, tmp_path: Path, algorithm: str) -> None:
    _, history = optimise(tiny_generator, tmp_path, algorithm, steps=30)
    assert len(history) == 30
    assert history[0]["reward"] < 0.4
    assert sum(row["reward"] for row in history[-5:]) / 5 > 0.8
    assert all(0 <= row["undecided"] <= 1 and 0 <= row["ended"] <= 1 for row in history)
    assert [row["table_reward"] for row in history] == [row["reward"] for row in history]


@pytest.mark.parametrize(
    ("order", "visited"), [("easy_first", [1, 5, 9, 13]), ("hard_first", [13, 9, 5, 1])], ids=["easy_first", "hard_first"]
)
def test_documents_are_visited_in_order(tiny_generator: Path, tmp_path: Path, order: str, visited: list[int]) -> None:
    _, history = optimise(tiny_generator, tmp_path, "rloo", order=order, responses=2)
    assert [row["difficulty"] * 16 for row in history] == pytest.approx(visited)
    assert [row["step"] for row in history] == [1, 2, 3, 4]


def test_a_response_that_does_not_end_earns_less(tiny_generator: Path, tmp_path: Path) -> None:
    """The penalty outweighs the reward, so what is learnt is to end."""
    _, free = optimise(tiny_generator, tmp_path / "a", "rloo", steps=20, missing_end_penalty=0.0, max_new_tokens=4)
    _, told = optimise(tiny_generator, tmp_path / "b", "rloo", steps=20, missing_end_penalty=5.0, max_new_tokens=4)
    ended = [sum(row["ended"] for row in history[-5:]) / 5 for history in (free, told)]
    assert ended[1] > max(0.8, ended[0] + 0.1)
    assert told[0]["reward"] >= 0  # logged without the penalty


def test_the_kl_starts_at_zero_and_is_not_computed_without_a_coefficient(tiny_generator: Path, tmp_path: Path) -> None:
    _, history = optimise(tiny_generator, tmp_path, "rloo", kl_coefficient=0.1)
    assert abs(history[0]["kl"]) < 1e-4
    _, without = optimise(tiny_generator, tmp_path / "b", "rloo")
    assert "kl" not in without[0]


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_resumed_equals_uninterrupted(tiny_generator: Path, tmp_path: Path, algorithm: str) -> None:
    whole, rows = optimise(tiny_generator, tmp_path / "a", algorithm)

    calls: list[int] = []

    def dies(queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return wants_table(queries, doc_ids)

    with pytest.raises(KeyboardInterrupt):
        optimise(tiny_generator, tmp_path / "b", algorithm, reward=dies)
    resumed, again = optimise(tiny_generator, tmp_path / "b", algorithm)
    assert [row["reward"] for row in again] == [row["reward"] for row in rows]
    first, second = ({name: p for name, p in model.named_parameters() if p.requires_grad} for model in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
