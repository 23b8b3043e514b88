"""One improvement of a generator: rewards and gate, policy optimisation by the algorithm of choice, merged result."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tandem.generators.base import load_generator, save_generator
from tandem.generators.dpo import optimise_preferences
from tandem.generators.grpo import optimise_in_groups
from tandem.generators.ppo import PPO
from tandem.generators.prompts import render_prompts
from tandem.generators.reward_model import Reward, load_reward_model, reward_function
from tandem.generators.rollouts import plan_rollouts, weighted_sum
from tandem.records import PreferencePair
from tandem.runtime.lora import merge_adapter

__all__ = ["improve_generator", "mean_of_last"]


def improve_generator(
    generator: Path,
    reward_model: Path,
    gate: Path,
    pairs: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair],
    documents: Mapping[str, str],
    difficulty: Mapping[str, float],
    folder: Path,
    *,
    prompt: Mapping[str, Any],
    algorithm: str,
    rewards: Mapping[str, float],
    round_trip: Reward | None,
    order: str,
    lora_rank: int,
    lora_alpha: int,
    ppo: Mapping[str, Any],
    group: Mapping[str, Any],
    dpo: Mapping[str, Any],
    scratch: Path,
    device: str,
    bf16: bool,
    seed: int,
) -> list[dict[str, float]]:
    """Train the generator on rewards of what it writes, or on preference pairs, and write it merged; with nothing to learn from, unchanged.

    Args:
        generator: folder of the merged policy to start from.
        reward_model: folder of the merged reward model.
        gate: JSON with ``passed``.
        pairs: for ``dpo``.
        held_out: pairs of other documents, for ``dpo`` to be measured on.
        documents: text by doc_id.
        difficulty: by doc_id; only these documents are visited.
        folder: to write into.
        prompt: ``template``, ``document_tokens``, ``keywords``, ``ignored_words`` and ``language`` of
            :func:`tandem.generators.sampling.plan_prompts`.
        algorithm: ``ppo``, ``rloo``, ``grpo`` or ``dpo``.
        rewards: weights of ``reward_model`` (the paper's), which counts only where its gate has passed, and ``round_trip``; 0 leaves
            one out. ``cap``: no reward counts beyond it, on either side.
        round_trip: the function of that name; None where its weight is 0.
        order: of the documents; nothing to ``dpo``.
        lora_rank: of the adapter.
        lora_alpha: its scale is alpha over rank.
        ppo: ``steps`` and arguments of :class:`tandem.generators.ppo.PPO`.
        group: arguments of :func:`tandem.generators.grpo.optimise_in_groups`, for ``rloo`` and ``grpo``.
        dpo: arguments of :func:`tandem.generators.dpo.optimise_preferences`.
        scratch: the checkpoint lives here.
        device: to train on.
        bf16: train under bfloat16 autocast; PPO computes in float32, for its ratios are of log-probabilities.
        seed: of everything random.

    Returns:
        One row of metrics a step.
    """
    model, tokenizer = load_generator(str(generator), device=device)
    asked: dict[str, Any] = {"template": prompt["template"], "max_document_tokens": prompt["document_tokens"]}
    adapter: dict[str, Any] = {"lora_rank": lora_rank, "lora_alpha": lora_alpha, "seed": seed}
    trainer: dict[str, Any] = {**adapter, "scratch": scratch, "bf16": bf16}
    history: list[dict[str, float]] = []
    if algorithm == "dpo":
        if pairs and dpo["epochs"]:
            model, history = optimise_preferences(model, tokenizer, pairs, held_out, documents, **dpo, **asked, **trainer)
    else:
        parts = [(rewards["round_trip"], round_trip)] if rewards["round_trip"] and round_trip else []
        if rewards["reward_model"] and passes(gate):
            judge = load_reward_model(str(reward_model), tokenizer, device=device)
            parts.append((rewards["reward_model"], reward_function(judge, tokenizer, **asked)))
        own = dict(ppo if algorithm == "ppo" else group)
        if difficulty and parts and own["steps"]:
            reward = weighted_sum(parts, cap=rewards["cap"])
            prompts = plan_rollouts(documents, difficulty, tokenizer, prompt=prompt, seed=seed)
            if algorithm == "ppo":
                steps = own.pop("steps")
                optimiser = PPO(model=model, tokenizer=tokenizer, reward=reward, **own, **adapter)
                history = optimiser.train(prompts, steps=steps, order=order, scratch=scratch)
                model = optimiser.policy
            else:
                model, history = optimise_in_groups(model, tokenizer, prompts, reward, algorithm=algorithm, order=order, **own, **trainer)
    if history:
        texts = render_prompts([next(iter(documents.values()))], [""], tokenizer, **asked)
        example = tokenizer(texts, return_tensors="pt").to(device)
        model, _ = merge_adapter(model, {key: example[key] for key in ("input_ids", "attention_mask")})
    save_generator(model, tokenizer, folder, prompt=prompt)
    return history


def passes(gate: Path) -> bool:
    """Whether a reward model may count; where it may not, a warning says why."""
    decision = orjson.loads(gate.read_bytes())
    if not decision["passed"]:
        warnings.warn(f"the reward model did not pass its gate ({gate}: {decision}) and does not count", stacklevel=3)
    return bool(decision["passed"])


def mean_of_last(history: Sequence[Mapping[str, float]], share: float = 0.25) -> dict[str, float]:
    """The mean of each metric over the last quarter of the steps that have it, and over the first under ``first_``."""
    if not history:
        return {"steps": 0.0}
    result = {"steps": float(len(history))}
    for key in sorted({key for row in history for key in row} - {"step"}):
        values = [row[key] for row in history if key in row]
        size = max(round(len(values) * share), 1)
        result |= {key: sum(values[-size:]) / size, f"first_{key}": sum(values[:size]) / size}
    return result
