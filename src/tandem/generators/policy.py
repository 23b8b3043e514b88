"""The policy of PPO: a generator with an adapter and a value head, which with the adapter off is its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from tandem.interfaces import SamplingSettings
from tandem.llm.decoding import decode, end_tokens
from tandem.runtime.lora import Lora, adapter_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Evaluation", "Policy", "Responses"]


@dataclass(frozen=True, slots=True)
class Responses:
    """What a policy wrote; tensors are (batch, response tokens) unless said otherwise."""

    texts: list[str]
    ids: Tensor  # (batch, prompt + response tokens)
    attention: Tensor  # like ids
    prompt_tokens: int
    mask: Tensor  # 1 up to and including the end token
    ended: Tensor  # (batch,), whether there is one


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a policy says of responses, (batch, response tokens)."""

    log_probs: Tensor  # of the tokens
    values: Tensor  # before each of them
    entropy: Tensor  # of the distribution that each was drawn from, without a gradient


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
        self.model = get_peft_model(model, adapter_config(lora))
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
        batch = self.tokenizer(list(prompts), return_tensors="pt", padding=True).to(self.model.device)
        responses = decode(
            self.model,
            self.tokenizer(list(prompts))["input_ids"],
            SamplingSettings(temperature=self.temperature, top_p=1.0, top_k=0, max_new_tokens=max_new_tokens),
            pad_token_id=self.tokenizer.pad_token_id,
        ).clone()  # made in inference mode; a clone may take part in autograd
        ended = torch.isin(responses, end_tokens(self.model))
        mask = (ended.cumsum(1) - ended.long() == 0).float()
        return Responses(
            self.tokenizer.batch_decode(responses, skip_special_tokens=True),
            torch.cat([batch["input_ids"], responses], dim=1),
            torch.cat([batch["attention_mask"], mask.long()], dim=1),
            batch["input_ids"].shape[1],
            mask,
            ended.any(1),
        )

    def evaluate(self, ids: Tensor, attention: Tensor, prompt_tokens: int) -> Evaluation:
        """Log-probabilities of the response tokens, values before each of them, and the policy's entropy there.

        Args:
            ids: (batch, prompt + response tokens), prompts padded on the left.
            attention: like ids.
            prompt_tokens: of the padded prompts.
        """
        output = self.model(
            input_ids=ids,
            attention_mask=attention,
            position_ids=(attention.cumsum(1) - 1).clamp(min=0),
            output_hidden_states=True,
            use_cache=False,
            logits_to_keep=ids.shape[1] - prompt_tokens + 1,  # those of the prompt are not asked for
        )
        distribution = log_softmax(output.logits[:, :-1].float() / self.temperature, dim=-1)
        log_probs = distribution.gather(2, ids[:, prompt_tokens:].unsqueeze(2)).squeeze(2)
        values = self.value_head(output.hidden_states[-1][:, prompt_tokens - 1 : -1].float()).squeeze(2)
        entropy = -(distribution.detach().exp() * distribution.detach()).sum(2)
        return Evaluation(log_probs, values, entropy)

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

    def _adapter(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
