"""What policy optimisation rolls out: prompts with their documents, in the order of their difficulty, and the reward of what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tandem.generators.reward_model import Reward
from tandem.generators.sampling import plan_prompts

__all__ = ["Prompt", "curriculum", "plan_rollouts", "weighted_sum"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a rollout starts from: the document for the reward, the prompt for the policy, the document's difficulty."""

    document: str
    text: str
    difficulty: float


def plan_rollouts(
    documents: Mapping[str, str], difficulty: Mapping[str, float], tokenizer: Any, *, prompt: Mapping[str, Any], seed: int
) -> list[Prompt]:
    """One prompt for each document that has a difficulty, made as sampling makes them, by :func:`tandem.generators.sampling.plan_prompts`.

    Args:
        documents: text by doc_id, all of the corpus.
        difficulty: by doc_id.
        tokenizer: of the policy.
        prompt: ``template``, ``document_tokens``, ``keywords``, ``ignored_words`` and ``language``.
        seed: of the keywords.
    """
    plan: dict[str, Any] = {
        "prefix": "rollout",
        "sampled_documents": len(difficulty),
        "queries_per_document": 1,
        "among": set(difficulty),
        "seed": seed,
    }
    requests, prompts = plan_prompts(documents, tokenizer, **plan, **prompt)
    return [Prompt(documents[doc_id], prompts[query_id], difficulty[doc_id]) for query_id, doc_id, _ in requests]


def curriculum(prompts: Sequence[Prompt], *, batch_size: int, order: str, seed: int) -> Iterator[list[Prompt]]:
    """Batches without end, in one pass after the other over the prompts.

    Args:
        prompts: of any order.
        batch_size: prompts a batch; the last, smaller one of a pass is filled from the next pass.
        order: ``easy_first`` (the paper's), ``hard_first`` or ``random``.
        seed: of ``random``.
    """
    if order not in ("easy_first", "hard_first", "random"):
        raise ValueError(f"improve_generator.order: {order!r} found, allowed: easy_first, hard_first, random")
    generator = torch.Generator().manual_seed(seed)
    waiting: list[Prompt] = []
    while True:
        while len(waiting) < batch_size:
            if order == "random":
                waiting += [prompts[i] for i in torch.randperm(len(prompts), generator=generator).tolist()]
            else:
                waiting += sorted(prompts, key=lambda p: p.difficulty, reverse=order == "hard_first")
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def weighted_sum(parts: Sequence[tuple[float, Reward]], *, cap: float) -> Reward:
    """One reward of several with their weights, each cut to ``cap`` on both sides before: no single one can be pushed without end."""

    def reward(documents: Sequence[str], queries: Sequence[str]) -> list[float]:
        scores = [[weight * min(max(value, -cap), cap) for value in part(documents, queries)] for weight, part in parts]
        return [sum(own) for own in zip(*scores, strict=True)]

    return reward
