"""Policy optimisation by comparing responses to the same prompt, without a critic: RLOO and GRPO (TRL).

A response's advantage is its reward less the mean of the other responses to its prompt, ``R_i - sum_(j != i) R_j / (k - 1)`` (RLOO,
Ahmadian et al. 2024), or standardised within its prompt's responses (GRPO, Shao et al. 2024, section 4.1). RLOO takes the KL to the
reference off the reward, GRPO adds it to the loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from tandem.generators.decoding import end_tokens
from tandem.generators.parsing import clean_query
from tandem.generators.reward_model import Reward
from tandem.generators.rollouts import Prompt, curriculum
from tandem.generators.trainers import common_settings, train_whole
from tandem.runtime.distributed import world_size
from tandem.runtime.lora import adapter_config

__all__ = ["optimise_in_groups"]

NAMES = {
    "query_reward": "reward",
    "difficulty": "difficulty",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "length",
    "frac_reward_zero_std": "undecided",
    "loss": "loss",
    "grad_norm": "gradient_norm",
}


def optimise_in_groups(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    reward: Reward,
    *,
    algorithm: str,
    order: str,
    steps: int,
    prompts_per_step: int,
    responses: int,
    updates: int,
    learning_rate: float,
    kl_coefficient: float,
    clip: float,
    temperature: float,
    max_new_tokens: int,
    missing_end_penalty: float,
    max_grad_norm: float,
    lora_rank: int,
    lora_alpha: int,
    scratch: Path,
    bf16: bool,
    seed: int,
) -> tuple[Any, list[dict[str, float]]]:
    """Train an adapter on rewards of what the policy writes.

    Args:
        model: the merged policy of the round before; with the adapter off it is the reference.
        tokenizer: its tokenizer, padding on the left.
        prompts: with their documents.
        reward: documents and queries to scores.
        algorithm: ``rloo`` or ``grpo``.
        order: of the documents: ``easy_first``, ``hard_first`` or ``random``.
        steps: rounds of responses.
        prompts_per_step: a step and process.
        responses: to each prompt, compared with each other.
        updates: optimiser steps on each round of responses.
        learning_rate: constant.
        kl_coefficient: of the KL to the reference; 0 leaves it out.
        clip: of the probability ratio.
        temperature: of sampling and of the log-probabilities.
        max_new_tokens: of a response.
        missing_end_penalty: taken off the reward of a response that does not end.
        max_grad_norm: gradients are cut to it.
        lora_rank: of the adapter.
        lora_alpha: its scale is alpha over rank.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of everything random.

    Returns:
        The policy with its adapter, and a row of metrics a step; ``undecided`` is the share of prompts whose responses all earn the same.
    """
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    settings = common_settings(
        batch_size=prompts_per_step * responses,
        learning_rate=learning_rate,
        scratch=scratch,
        cpu=model.device.type == "cpu",
        bf16=bf16,
        seed=seed,
    )
    settings |= {
        "max_steps": steps * updates,
        "num_generations": responses,
        "num_iterations": updates,
        "steps_per_generation": 1,
        "shuffle_dataset": False,  # the rows are in the order wanted
        "lr_scheduler_type": "constant",
        "beta": kl_coefficient,
        "epsilon": clip,
        "temperature": temperature,
        "max_completion_length": max_new_tokens,
        "max_grad_norm": max_grad_norm,
        "disable_dropout": True,
        "logging_steps": updates,
        "save_strategy": "steps",
        "save_steps": updates * max(steps // 20, 1),
    }
    torch.manual_seed(seed)
    parts: dict[str, Any] = {
        "model": model,
        "reward_funcs": _penalised(reward, set(end_tokens(model).tolist()), missing_end_penalty),
        "train_dataset": _rows(prompts, batches=steps, batch_size=prompts_per_step * world_size(), order=order, seed=seed),
        "processing_class": tokenizer,
        "peft_config": adapter_config(rank=lora_rank, alpha=lora_alpha, dropout=0.0),
    }
    grpo = algorithm == "grpo"
    trainer = GRPOTrainer(args=GRPOConfig(**settings), **parts) if grpo else RLOOTrainer(args=RLOOConfig(**settings), **parts)
    train_whole(trainer, scratch)
    return trainer.model, _history(trainer.state.log_history, updates)


def _rows(prompts: Sequence[Prompt], *, batches: int, order: str, **settings: Any) -> Any:
    """A data set of prompts in the order in which they are visited, as many as there is time for."""
    from datasets import Dataset

    visited = chain.from_iterable(islice(curriculum(prompts, order=order, **settings), batches))
    return Dataset.from_list([{"prompt": p.text, "document": p.document, "difficulty": p.difficulty} for p in visited])


def _history(logged: Sequence[Mapping[str, float]], updates: int) -> list[dict[str, float]]:
    """A row of metrics for each round of responses, under our names."""
    return [
        {
            "step": row["step"] // updates,
            **{name: float(row[key]) for key, name in NAMES.items() if key in row},
            "ended": 1 - row["completions/clipped_ratio"],
        }
        for row in logged
        if "query_reward" in row
    ]


def _penalised(reward: Reward, ends: set[int], penalty: float) -> Any:
    """The reward as TRL calls it, with a penalty for responses that do not end; the reward itself is logged without it."""

    def scored(
        completions: list[str], completion_ids: list[list[int]], document: list[str], difficulty: list[float], log_metric: Any, **_: Any
    ) -> list[float]:
        values = reward(document, [clean_query(text) for text in completions])
        log_metric("query_reward", sum(values) / len(values))
        log_metric("difficulty", sum(difficulty) / len(difficulty))
        return [value - penalty * (ids[-1] not in ends) for value, ids in zip(values, completion_ids, strict=True)]

    return scored
