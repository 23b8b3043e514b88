"""What policy optimisation maximises: a weighted sum of rewards of a query and its document, each cut to a range."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tandem.generators.prompts import PromptSettings, QueryPrompts
from tandem.interfaces import Reward
from tandem.llm.decoding import pad_left, prefill
from tandem.llm.likelihood import split_tokens
from tandem.settings import Coefficient, PositiveCoefficient, Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ModelReward", "RewardScores", "RewardSettings", "WeightedRewards"]


class RewardSettings(Settings):
    """The weight of each reward in the sum that is maximised; 0 leaves one out."""

    reward_model: Coefficient
    """of the reward model, the paper's; it counts only where it passed its gate"""
    round_trip: Coefficient
    """of how high BM25 ranks a query's document, 0 to 1"""
    cap: PositiveCoefficient
    """no reward counts beyond it, on either side, before it is weighted"""


@dataclass(frozen=True, slots=True)
class RewardScores:
    """The weighted sum for each query, and the mean of each reward by name, neither cut nor weighted."""

    totals: list[float]
    means: dict[str, float]


@dataclass(frozen=True, slots=True)
class WeightedRewards:
    """Several rewards with their weights, as one.

    Args:
        rewards: (weight, reward) by name.
        cap: each reward is cut to it on both sides before it is weighted, so that no single one can be pushed without end.
    """

    rewards: Mapping[str, tuple[float, Reward]]
    cap: float

    def score(self, queries: Sequence[str], doc_ids: Sequence[str]) -> RewardScores:
        """The sum ``w_1 clip(r_1) + w_2 clip(r_2) + ...`` for each query, and the mean of each r.

        Raises:
            ValueError: a reward is not a number, or there is not one for each query; names the reward.
        """
        scores = {name: _ask(name, reward, queries, doc_ids) for name, (_, reward) in self.rewards.items()}
        weighted = [[weight * min(max(score, -self.cap), self.cap) for score in scores[name]] for name, (weight, _) in self.rewards.items()]
        return RewardScores(
            [sum(row) for row in zip(*weighted, strict=True)],
            {name: sum(values) / max(len(values), 1) for name, values in scores.items()},
        )

    def __call__(self, queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        """The weighted sum for each query."""
        return self.score(queries, doc_ids).totals


def _ask(name: str, reward: Reward, queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
    scores = reward(queries, doc_ids)
    if len(scores) != len(queries):
        raise ValueError(f"reward {name}: {len(scores)} numbers found for {len(queries)} queries; it must give one for each")
    for score, query, doc_id in zip(scores, queries, doc_ids, strict=True):
        if math.isnan(score):
            raise ValueError(
                f"reward {name}: {score} found for query {query!r:.80} of document '{doc_id}', a number is expected; "
                "correct the reward, or give it the weight 0"
            )
    return scores


class ModelReward:
    """A trained reward model as a :class:`tandem.interfaces.Reward`: its score of a query and the document's text, a logit.

    Args:
        model: a sequence classifier with one score.
        tokenizer: the generator's.
        documents: text by doc_id.
        prompt: that the model was trained with, without examples; its keywords stay empty, for a reward is of document and query alone.
        batch_size: texts at once.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        documents: Mapping[str, str],
        prompt: PromptSettings,
        *,
        batch_size: int = 64,
    ) -> None:
        self.model, self.tokenizer, self.documents, self.batch_size = model.eval(), tokenizer, documents, batch_size
        self.prompts = QueryPrompts(tokenizer, prompt)
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters

    def __call__(self, queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        """The model's score of each query and its document; in batches of like length, a document once for all its queries there."""
        prompts = self.prompts.render([self.documents[doc_id] for doc_id in doc_ids], [""] * len(doc_ids))
        first, rest = split_tokens(
            prompts, [self.prompts.completion(query) + self.tokenizer.eos_token for query in queries], self.tokenizer
        )
        order = sorted(range(len(prompts)), key=lambda i: (len(first[i]), prompts[i], len(rest[i])))
        scores = [0.0] * len(prompts)
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            for i, score in zip(batch, self._read([first[i] for i in batch], [rest[i] for i in batch]), strict=True):
                scores[i] = score
        return scores

    @torch.inference_mode()
    def _read(self, first: Sequence[list[int]], rest: Sequence[list[int]]) -> list[float]:
        """The scores of texts, given as the tokens of prompts and of what follows them."""
        pad = self.tokenizer.pad_token_id
        if self.takes_positions:
            cache, ids, mask = prefill(self.model.base_model, first, room=0, pad_token_id=pad, continuations=rest)
            # Counted from a text's first token: a model with absolute positions would else read a padded text differently.
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            output = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
        else:
            ids, mask = pad_left([[*before, *after] for before, after in zip(first, rest, strict=True)], pad, self.model.device)
            output = self.model(input_ids=ids, attention_mask=mask)
        scores: list[float] = output.logits[:, 0].float().tolist()
        return scores
