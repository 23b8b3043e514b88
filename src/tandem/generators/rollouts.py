"""What policy optimisation rolls out: prompts with their documents, in the order of their difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from tandem.generators.examples import NO_EXAMPLES, Examples
from tandem.generators.prompts import PromptedSettings, QueryPrompts
from tandem.generators.requests import RequestSettings, plan_requests

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
    examples: Examples = NO_EXAMPLES,
) -> list[Prompt]:
    """One prompt for each document that has a difficulty, made as sampling makes them, by :class:`tandem.generators.prompts.QueryPrompts`.

    Args:
        documents: text by doc_id, all of the corpus.
        difficulty: by doc_id.
        tokenizer: of the policy.
        prompted: how a prompt is made.
        seed: of the keywords.
        examples: before each document.
    """
    settings = RequestSettings(sampled_documents=len(difficulty), queries_per_document=1)
    requests = plan_requests(documents, settings, prompted, prefix="rollout", seed=seed, among=difficulty, query_types=examples.types)
    prompts = QueryPrompts(tokenizer, prompted.prompt, examples=examples)
    rendered = prompts.render_requests(requests, documents)
    return [Prompt(request.doc_id, text, difficulty[request.doc_id]) for request, text in zip(requests, rendered, strict=True)]


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
