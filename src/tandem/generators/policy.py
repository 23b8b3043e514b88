"""The policy of PPO: a generator with an adapter and a value head, which with the adapter off is its reference.

What rows have in common is computed once, with its gradient: the beginning of all prompts, as worked examples or a chat template's, and a
prompt that several responses follow, row by row. Padding stands between that beginning and the rest of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tandem.interfaces import SamplingSettings
from tandem.llm.decoding import compute_prefix, decode, end_tokens
from tandem.runtime.lora import Lora, adapter_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Evaluation", "Policy", "Responses"]

SHARED_TOKENS = 16  # from so many on, a beginning that all rows have is computed once


@dataclass(frozen=True, slots=True)
class Responses:
    """What a policy wrote; tensors are (batch, response tokens) unless said otherwise."""

    texts: list[str]
    ids: Tensor  # (batch, prompt + response tokens); padding stands behind what all prompts begin with
    attention: Tensor  # like ids
    prompt_tokens: int
    mask: Tensor  # 1 up to and including the end token
    ended: Tensor  # (batch,), whether there is one


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a policy says of responses, (batch, response tokens)."""

    log_probs: Tensor  # of the tokens
    values: Tensor  # before each of them
    logits: Tensor  # tempered, of the distribution that each was drawn from, (batch, response tokens, vocabulary), without a gradient

    def entropy(self) -> Tensor:
        """Of the distribution that each token was drawn from."""
        distribution = self.logits.log_softmax(-1)
        return -(distribution.exp() * distribution).sum(2)


class Policy:
    """A causal language model that gets an adapter, and a value head beside it that starts at zero.

    Args:
        model: the merged policy of the round before; with the adapter off it is the reference.
        tokenizer: its tokenizer, padding on the left, pad and end token distinct.
        lora: the adapter.
        temperature: of sampling and of the log-probabilities.

    Raises:
        ValueError: the pad token is the end token.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, lora: Lora, temperature: float) -> None:
        from peft import get_peft_model

        if tokenizer.pad_token_id == tokenizer.eos_token_id:
            raise ValueError("the tokenizer's pad token is its end token: the policy could not learn to stop")
        self.tokenizer, self.temperature = tokenizer, temperature
        self.model = get_peft_model(model, adapter_config(lora, model))
        # Dropout would make the ratio differ from 1 before any update.
        self.model.eval()
        self.value_head = nn.Linear(self.model.config.hidden_size, 1).to(next(self.model.parameters()).device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def trained_parameters(self) -> list[nn.Parameter]:
        """The adapter's weights, then the value head's."""
        return [*self._adapter().values(), *self.value_head.parameters()]

    def respond(self, prompts: Sequence[str], *, max_new_tokens: int) -> Responses:
        """Sample a response to each prompt, from exactly the distribution that :meth:`evaluate` takes log-probabilities of."""
        rows = self.tokenizer(list(prompts))["input_ids"]
        shared = _common_tokens(rows)
        responses = decode(
            self.model,
            rows,
            SamplingSettings(temperature=self.temperature, top_p=1.0, top_k=0, max_new_tokens=max_new_tokens),
            pad_token_id=self.tokenizer.pad_token_id,
            prefix=compute_prefix(self.model, rows[0][:shared]) if shared >= SHARED_TOKENS else None,
        ).clone()  # made in inference mode; a clone may take part in autograd
        prompt_ids, prompt_mask = self._pad(rows, shared)
        ended = torch.isin(responses, end_tokens(self.model))
        mask = (ended.cumsum(1) - ended.long() == 0).float()
        return Responses(
            self.tokenizer.batch_decode(responses, skip_special_tokens=True),
            torch.cat([prompt_ids, responses], dim=1),
            torch.cat([prompt_mask, mask.long()], dim=1),
            prompt_ids.shape[1],
            mask,
            ended.any(1),
        )

    def evaluate(self, ids: Tensor, attention: Tensor, prompt_tokens: int) -> Evaluation:
        """Log-probabilities of the response tokens, and values before each of them.

        Args:
            ids: (batch, prompt + response tokens), prompts padded anywhere before their last token; rows of one prompt stand together.
            attention: like ids.
            prompt_tokens: of the padded prompts.
        """
        responses = ids.shape[1] - prompt_tokens
        cache, first = self._read_once(ids, attention, prompt_tokens)
        output = self.model(
            input_ids=ids[:, first:],
            attention_mask=attention,
            position_ids=(attention.cumsum(1) - 1).clamp(min=0)[:, first:],
            past_key_values=cache,
            output_hidden_states=True,
            use_cache=cache is not None,
            logits_to_keep=responses + 1,  # those of the prompt are not asked for
        )
        logits = output.logits[:, :-1].float() / self.temperature
        chosen = logits.gather(2, ids[:, prompt_tokens:].unsqueeze(2)).squeeze(2)
        values = self.value_head(output.hidden_states[-1][:, -responses - 1 : -1].float()).squeeze(2)
        return Evaluation(chosen - logits.logsumexp(-1), values, logits.detach())

    def reference_log_probs(self, ids: Tensor, attention: Tensor, prompt_tokens: int) -> Tensor:
        """Log-probabilities of the response tokens under the reference; arguments as of :meth:`evaluate`."""
        with self.model.disable_adapter():
            return self.evaluate(ids, attention, prompt_tokens).log_probs

    def state_dict(self) -> dict[str, Any]:
        """Weights of adapter and value head."""
        return {"adapter": self._adapter(), "value_head": self.value_head.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take weights from :meth:`state_dict`."""
        self.model.load_state_dict(state["adapter"], strict=False)
        self.value_head.load_state_dict(state["value_head"])

    def _read_once(self, ids: Tensor, attention: Tensor, prompt_tokens: int) -> tuple[DynamicCache | None, int]:
        """Keys and values, for each row, of what rows have in common, and how many columns that is; None and 0 where it is too little.

        A prompt's last token is never among it, nor is anything where a model keeps more than keys and values of all tokens.
        """
        before, cache = prompt_tokens - 1, DynamicCache(config=self.model.config)
        shared = _shared_columns(ids, attention, before)
        index = _group_rows(ids, attention, before)
        groups, grouped = int(index[-1]) + 1, int(index[-1]) + 1 < len(ids)
        if not (grouped or shared >= SHARED_TOKENS) or any(type(layer) is not DynamicLayer for layer in cache.layers):
            return None, 0
        read = 0
        if shared >= SHARED_TOKENS:
            read = shared
            self.model(input_ids=ids[:1, :read], past_key_values=cache, use_cache=True, logits_to_keep=1)
            _take_rows(cache, torch.zeros(groups if grouped else len(ids), dtype=torch.long, device=ids.device))
        if grouped and read < before:
            firsts = torch.searchsorted(index, torch.arange(groups, device=ids.device))
            mask = attention[firsts, :before]
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, read:]
            rest = {"input_ids": ids[firsts, read:before], "attention_mask": mask, "position_ids": positions}
            self.model(**rest, past_key_values=cache, use_cache=True, logits_to_keep=1)
            read = before
        if grouped:
            _take_rows(cache, index)
        return cache, read

    def _pad(self, rows: Sequence[Sequence[int]], shared: int) -> tuple[Tensor, Tensor]:
        """Token ids and mask of prompts, padded between what all begin with and the rest."""
        width, pad = max(map(len, rows)), self.tokenizer.pad_token_id
        ids = [[*row[:shared], *[pad] * (width - len(row)), *row[shared:]] for row in rows]
        mask = [[*[1] * shared, *[0] * (width - len(row)), *[1] * (len(row) - shared)] for row in rows]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)

    def _adapter(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}


def _common_tokens(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with; none of a row's last is among them."""
    first, last = min(rows), max(rows)
    limit = min(map(len, rows)) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)


def _shared_columns(ids: Tensor, attention: Tensor, columns: int) -> int:
    """How many of the first columns are the same in all rows, and no padding."""
    same = (ids[:, :columns] == ids[:1, :columns]) & attention[:, :columns].bool()
    return int(same.all(0).long().cumprod(0).sum())


def _group_rows(ids: Tensor, attention: Tensor, columns: int) -> Tensor:
    """The number of each row's group, (rows,): neighbours whose first columns are the same are of one."""
    pairs = ((ids[1:, :columns] == ids[:-1, :columns]) & (attention[1:, :columns] == attention[:-1, :columns])).all(1)
    return torch.cat([torch.zeros(1, dtype=torch.long, device=ids.device), (~pairs).long().cumsum(0)])


def _take_rows(cache: DynamicCache, rows: Tensor) -> None:
    """Make these rows of a cache its rows; each may be taken several times, and gets all their gradients."""
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys[rows], layer.values[rows]
