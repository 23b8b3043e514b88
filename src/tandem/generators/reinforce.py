"""One improvement of a generator: reward model, gate, PPO over the documents in order of difficulty, merged result."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tandem.generators.base import load_generator, merge_adapter, save_generator
from tandem.generators.keywords import content_words, document_frequencies, draw_keywords
from tandem.generators.ppo import PPO, Prompt, Reward
from tandem.generators.prompts import render_prompts
from tandem.generators.reward_model import load_reward_model, reward_function

__all__ = ["improve_generator", "mean_of_last", "plan_rollouts", "weighted_sum"]


def improve_generator(
    generator: Path,
    reward_model: Path,
    gate: Path,
    documents: Mapping[str, str],
    difficulty: Mapping[str, float],
    folder: Path,
    *,
    template: str,
    document_tokens: int,
    keywords: int,
    rewards: Mapping[str, float],
    round_trip: Reward | None,
    steps: int,
    order: str,
    seed: int,
    scratch: Path,
    device: str,
    **settings: Any,
) -> list[dict[str, float]]:
    """Train the generator with PPO on a weighted sum of rewards and write it merged; where no reward is left, write it unchanged.

    Args:
        generator: folder of the merged policy to start from.
        reward_model: folder of the merged reward model.
        gate: JSON with ``passed``.
        documents: text by doc_id.
        difficulty: by doc_id; only these documents are visited.
        folder: to write into.
        template: of the prompt.
        document_tokens: of a document in the prompt.
        keywords: in a prompt, at most.
        rewards: weights of ``reward_model`` (the paper's), which counts only where its gate has passed, and ``round_trip``; 0 leaves
            one out.
        round_trip: the function of that name; None where its weight is 0.
        steps: of PPO.
        order: of the documents.
        seed: of everything random.
        scratch: the checkpoint lives here.
        device: to train on.
        settings: of :class:`tandem.generators.ppo.PPO`.

    Returns:
        One row of metrics a step.
    """
    model, tokenizer = load_generator(str(generator), device=device)
    prompt: dict[str, Any] = {"template": template, "maximum_document_tokens": document_tokens}
    parts = [(rewards["round_trip"], round_trip)] if rewards["round_trip"] and round_trip else []
    if rewards["reward_model"] and passes(gate):
        judge = load_reward_model(str(reward_model), tokenizer, device=device)
        parts.append((rewards["reward_model"], reward_function(judge, tokenizer, **prompt)))
    if not difficulty or not parts or steps == 0:
        save_generator(model, tokenizer, folder)
        return []
    prompts = plan_rollouts(documents, difficulty, tokenizer, keywords=keywords, seed=seed, **prompt)
    ppo = PPO(model=model, tokenizer=tokenizer, reward=weighted_sum(parts), seed=seed, **settings)
    history = ppo.train(prompts, steps=steps, order=order, scratch=scratch)
    example = tokenizer([prompts[0].text], return_tensors="pt").to(device)
    merged, _ = merge_adapter(ppo.policy, {key: example[key] for key in ("input_ids", "attention_mask")})
    save_generator(merged, tokenizer, folder)
    return history


def passes(gate: Path) -> bool:
    """Whether a reward model may count; where it may not, a warning says why."""
    decision = orjson.loads(gate.read_bytes())
    if not decision["passed"]:
        warnings.warn(f"the reward model did not pass its gate ({gate}: {decision}) and does not count", stacklevel=3)
    return bool(decision["passed"])


def weighted_sum(parts: Sequence[tuple[float, Reward]]) -> Reward:
    """One reward of several with their weights."""

    def reward(documents: Sequence[str], queries: Sequence[str]) -> list[float]:
        scores = [[weight * value for value in part(documents, queries)] for weight, part in parts]
        return [sum(own) for own in zip(*scores, strict=True)]

    return reward


def plan_rollouts(
    documents: Mapping[str, str],
    difficulty: Mapping[str, float],
    tokenizer: Any,
    *,
    template: str,
    maximum_document_tokens: int,
    keywords: int,
    seed: int,
) -> list[Prompt]:
    """One prompt for each document that has a difficulty, with keywords drawn as sampling draws them."""
    rng = random.Random(f"rollouts:{seed}")
    frequencies = document_frequencies(documents.values())
    doc_ids = sorted(difficulty)
    words = []
    for doc_id in doc_ids:
        number = rng.randint(1, keywords) if keywords else 0
        words.append(", ".join(draw_keywords(content_words(documents[doc_id]), frequencies, number=number, rng=rng)))
    texts = [documents[doc_id] for doc_id in doc_ids]
    prompts = render_prompts(texts, words, tokenizer, template=template, maximum_document_tokens=maximum_document_tokens)
    return [Prompt(text, prompt, difficulty[doc_id]) for text, prompt, doc_id in zip(texts, prompts, doc_ids, strict=True)]


def mean_of_last(history: Sequence[Mapping[str, float]], share: float = 0.25) -> dict[str, float]:
    """The mean of each metric over the last quarter of the steps, and over the first under ``first_``."""
    if not history:
        return {"steps": 0.0}
    size = max(round(len(history) * share), 1)
    result = {"steps": float(len(history))}
    for prefix, part in (("", history[-size:]), ("first_", history[:size])):
        for key in part[0]:
            if key != "step":
                result[f"{prefix}{key}"] = sum(row[key] for row in part) / size
    return result
