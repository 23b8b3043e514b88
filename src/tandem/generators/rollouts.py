"""What policy optimisation rolls out: prompts with their documents, in the order of their difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from tandem.generators.prompts import PromptedSettings
from tandem.generators.sampling import plan_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Curriculum", "Order", "Prompt", "plan_rollouts"]

Order = Literal["easy_first", "hard_first", "random"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a rollout starts from: the document for the reward, the prompt for the policy, the document's difficulty."""

    doc_id: str
    text: str
    difficulty: float


def plan_rollouts(
    documents: Mapping[str, str],
    difficulty: Mapping[str, float],
    tokenizer: PreTrainedTokenizerBase,
    prompted: PromptedSettings,
    *,
    seed: int,
) -> list[Prompt]:
    """One prompt for each document that has a difficulty, made as sampling makes them, by :func:`tandem.generators.sampling.plan_prompts`.

    Args:
        documents: text by doc_id, all of the corpus.
        difficulty: by doc_id.
        tokenizer: of the policy.
        prompted: how a prompt is made.
        seed: of the keywords.
    """
    prompt = prompted.prompt
    requests, prompts = plan_prompts(
        documents,
        tokenizer,
        template=prompt.template,
        document_tokens=prompt.document_tokens,
        keywords=prompt.keywords,
        ignored_words=prompt.ignored_words,
        language=prompted.language,
        prefix="rollout",
        sampled_documents=len(difficulty),
        queries_per_document=1,
        among=set(difficulty),
        seed=seed,
    )
    return [Prompt(doc_id, prompts[query_id], difficulty[doc_id]) for query_id, doc_id, _ in requests]


@dataclass(frozen=True, slots=True)
class Curriculum:
    """Prompts in the order in which their documents are visited.

    Args:
        prompts: of any order.
        order: ``easy_first`` (the paper's), ``hard_first`` or ``random``.
        seed: of ``random``.

    Raises:
        ValueError: there is no such order.
    """

    prompts: Sequence[Prompt]
    order: Order
    seed: int

    def __post_init__(self) -> None:
        """Check the order."""
        if self.order not in get_args(Order):
            raise ValueError(f"order: {self.order!r} found, allowed: {', '.join(get_args(Order))}")

    def batches(self, batch_size: int) -> Iterator[list[Prompt]]:
        """Batches without end, in one pass after the other; the last, smaller one of a pass is filled from the next pass."""
        generator = torch.Generator().manual_seed(self.seed)
        waiting: list[Prompt] = []
        while True:
            while len(waiting) < batch_size:
                if self.order == "random":
                    waiting += [self.prompts[i] for i in torch.randperm(len(self.prompts), generator=generator).tolist()]
                else:
                    waiting += sorted(self.prompts, key=lambda prompt: prompt.difficulty, reverse=self.order == "hard_first")
            yield waiting[:batch_size]
            waiting = waiting[batch_size:]
