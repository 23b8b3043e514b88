"""PPO of the generator: LoRA policy with a value head, the merged policy as reference, any function as reward.

Departures from iGFT: rollouts come from exactly the distribution that the log-probabilities are taken from (temperature alone, no top-k
or top-p); documents are visited easy to hard by a sequential sampler, where the released code's sampler shuffles them; a response that
does not end is penalised; a run goes on exactly where it was stopped. Under a launcher every process rolls out and learns from its own
prompts: rewards and advantages are standardised over all of them, gradients are averaged by tokens, and one process saves.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax
from tqdm import tqdm

from tandem.generators import ppo_math
from tandem.generators.decoding import decode, end_tokens
from tandem.generators.parsing import clean_query
from tandem.generators.reward_model import Reward
from tandem.generators.rollouts import Prompt, curriculum
from tandem.runtime.distributed import all_reduce_mean, all_reduce_sum, average_gradients, gather, init_processes, process_rank, world_size
from tandem.runtime.lora import adapter_config

__all__ = ["PPO", "Rollout"]


@dataclass(slots=True)
class Rollout:
    """A batch of responses with all that an update needs; tensors are (batch, tokens) unless said otherwise."""

    ids: Tensor  # (batch, prompt + response tokens)
    attention: Tensor  # like ids
    prompt_tokens: int
    mask: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    metrics: dict[str, float]


@dataclass
class PPO:
    """A PPO run over a policy.

    Args:
        model: the merged policy of the round before; it gets an adapter, and with the adapter off it is the reference.
        tokenizer: its tokenizer, padding on the left, pad and end token distinct.
        reward: documents and queries to scores.
        batch_size: responses a step and process.
        minibatch_size: responses a gradient step and process.
        epochs: passes over a step's responses.
        learning_rate: of AdamW, constant.
        kl_coefficient: of the per-token KL penalty, at the start.
        target_kl: steer the coefficient towards this KL a response; None keeps it fixed.
        temperature: of sampling and of the log-probabilities.
        max_new_tokens: of a response.
        missing_end_penalty: taken off the standardised score of a response that does not end.
        score_clip: standardised scores are clipped to this.
    """

    model: Any
    tokenizer: Any
    reward: Reward
    batch_size: int
    minibatch_size: int
    epochs: int
    learning_rate: float
    lora_rank: int
    lora_alpha: int
    kl_coefficient: float = 0.1
    target_kl: float | None = None
    temperature: float = 1.0
    max_new_tokens: int = 32
    missing_end_penalty: float = 1.0
    score_clip: float = 4.0
    clip: float = 0.2
    value_clip: float = 0.2
    value_coefficient: float = 0.1
    gamma: float = 1.0
    lam: float = 0.95
    max_grad_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Add the adapter and the value head, and check that the policy can learn to stop."""
        from peft import get_peft_model

        init_processes()
        torch.manual_seed(self.seed)
        if self.tokenizer.pad_token_id == self.tokenizer.eos_token_id:
            raise ValueError("the tokenizer's pad token is its end token: the policy could not learn to stop")
        adapter = adapter_config(rank=self.lora_rank, alpha=self.lora_alpha, dropout=0.0)
        self.policy = get_peft_model(self.model, adapter)
        # Dropout would make the ratio differ from 1 before any update.
        self.policy.eval()
        device = next(self.policy.parameters()).device
        self.value_head = nn.Linear(self.policy.config.hidden_size, 1).to(device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.trained = [p for p in self.policy.parameters() if p.requires_grad] + list(self.value_head.parameters())
        self.optimizer = torch.optim.AdamW(self.trained, lr=self.learning_rate, weight_decay=0.0)
        self.controller = ppo_math.KLController(self.kl_coefficient, self.target_kl)
        self.moments = ppo_math.RunningMoments()

    def train(self, prompts: Sequence[Prompt], *, steps: int, order: str, scratch: Path) -> list[dict[str, float]]:
        """Run the given number of steps, from the last checkpoint in ``scratch`` if there is one.

        Returns:
            One row of metrics a step.

        Raises:
            RuntimeError: the policy differs from its reference before the first update, or a loss is not finite.
        """
        history: list[dict[str, float]] = self._restore(scratch)
        number, processes = process_rank(), world_size()
        batches = curriculum(prompts, batch_size=self.batch_size * processes, order=order, seed=self.seed)
        for step, batch in zip(tqdm(range(steps), desc="PPO", unit="step"), batches, strict=False):
            if step < len(history):
                continue
            torch.manual_seed(zlib.crc32(f"{self.seed}:{step}{f':{number}' if number else ''}".encode()))
            rollout = self.roll_out(batch[number::processes])
            if step == 0 and abs(rollout.metrics["kl"]) > 1e-4:
                raise RuntimeError(f"KL to the reference is {rollout.metrics['kl']:.2g} before any update, 0 is expected")
            losses = self.update(rollout)
            self.controller.update(rollout.metrics["kl"], len(batch))
            difficulty = sum(prompt.difficulty for prompt in batch) / len(batch)
            history.append({"step": step + 1, "difficulty": difficulty, **rollout.metrics, **losses})
            if number == 0:
                self._save(scratch, history)
        return history

    def roll_out(self, prompts: Sequence[Prompt]) -> Rollout:
        """Sample a response to each prompt and compute its log-probabilities, values, rewards and advantages."""
        batch = self.tokenizer([p.text for p in prompts], return_tensors="pt", padding=True).to(self.policy.device)
        width = batch["input_ids"].shape[1]
        responses = decode(
            self.policy,
            self.tokenizer([p.text for p in prompts])["input_ids"],
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            pad_token_id=self.tokenizer.pad_token_id,
        ).clone()  # made in inference mode; a clone may take part in autograd
        ids = torch.cat([batch["input_ids"], responses], dim=1)
        with torch.no_grad():
            ended = torch.isin(responses, end_tokens(self.policy))
            mask = (ended.cumsum(1) - ended.long() == 0).float()
            attention = torch.cat([batch["attention_mask"], mask.long()], dim=1)
            log_probs, values, entropy = self._evaluate(ids, attention, width)
            with self.policy.disable_adapter():
                reference, _, _ = self._evaluate(ids, attention, width)
        texts = self.tokenizer.batch_decode(responses, skip_special_tokens=True)
        raw = torch.tensor(self.reward([p.document for p in prompts], [clean_query(text) for text in texts]))
        self.moments.update(torch.tensor(gather(raw.tolist())))
        scores = self.moments.standardise(raw).clamp(-self.score_clip, self.score_clip)
        scores = (scores - self.missing_end_penalty * (1 - ended.any(1).float().cpu())).to(mask.device)
        rewards = ppo_math.shaped_rewards(scores, log_probs, reference, mask, kl_coefficient=self.controller.coefficient)
        advantages, returns = ppo_math.generalised_advantages(rewards, values, mask, gamma=self.gamma, lam=self.lam)
        own = {
            "reward": float(raw.mean()),
            "score": float(scores.mean()),
            "kl": float(((log_probs - reference) * mask).sum(1).mean()),
            "kl_coefficient": self.controller.coefficient,
            "entropy": float(ppo_math.masked_mean(entropy, mask)),
            "explained_variance": ppo_math.explained_variance(values, returns, mask),
            "length": float(mask.sum(1).mean()),
            "ended": float(ended.any(1).float().mean()),
        }
        return Rollout(ids, attention, width, mask, log_probs, values * mask, advantages, returns, all_reduce_mean(own))

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Several passes of clipped gradient steps over a rollout; the mean of each loss."""
        advantages = ppo_math.whiten(rollout.advantages, rollout.mask, all_reduce_sum)
        sums: dict[str, float] = {}
        gradient_steps = 0
        for _ in range(self.epochs):
            for part in torch.randperm(len(rollout.ids)).split(self.minibatch_size):
                mask = rollout.mask[part]
                log_probs, values, _ = self._evaluate(rollout.ids[part], rollout.attention[part], rollout.prompt_tokens)
                actor, clipped = ppo_math.policy_loss(log_probs, rollout.log_probs[part], advantages[part], mask, clip=self.clip)
                critic = ppo_math.value_loss(values, rollout.values[part], rollout.returns[part], mask, clip=self.value_clip)
                loss = actor + self.value_coefficient * critic
                if not torch.isfinite(loss):
                    raise RuntimeError(f"PPO loss is {loss.item()}: lower improve_generator.ppo.learning_rate or check the reward")
                self.optimizer.zero_grad(set_to_none=True)
                (loss * _share_of_tokens(mask)).backward()
                average_gradients(self.trained)
                norm = nn.utils.clip_grad_norm_(self.trained, self.max_grad_norm)
                self.optimizer.step()
                gradient_steps += 1
                for name, value in (
                    ("policy_loss", actor),
                    ("value_loss", critic),
                    ("clip_fraction", clipped),
                    ("gradient_norm", norm),
                ):
                    sums[name] = sums.get(name, 0.0) + value.item()
        return all_reduce_mean({name: value / gradient_steps for name, value in sums.items()})

    def _evaluate(self, ids: Tensor, attention: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of the response tokens, values before each of them, and the policy's entropy there."""
        positions = (attention.cumsum(1) - 1).clamp(min=0)
        output = self.policy(
            input_ids=ids,
            attention_mask=attention,
            position_ids=positions,
            output_hidden_states=True,
            use_cache=False,
            logits_to_keep=ids.shape[1] - width + 1,  # the prompt's are not asked for
        )
        distribution = log_softmax(output.logits[:, :-1].float() / self.temperature, dim=-1)
        log_probs = distribution.gather(2, ids[:, width:].unsqueeze(2)).squeeze(2)
        values = self.value_head(output.hidden_states[-1][:, width - 1 : -1].float()).squeeze(2)
        entropy = -(distribution.detach().exp() * distribution.detach()).sum(2)
        return log_probs, values, entropy

    def _save(self, scratch: Path, history: Sequence[Mapping[str, float]]) -> None:
        path = scratch / "ppo.pt"
        state = {
            "adapter": {name: p for name, p in self.policy.named_parameters() if p.requires_grad},
            "value_head": self.value_head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "kl_coefficient": self.controller.coefficient,
            "moments": [self.moments.count, self.moments.mean, self.moments.variance],
            "history": list(history),
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def _restore(self, scratch: Path) -> list[dict[str, float]]:
        path = scratch / "ppo.pt"
        if not path.exists():
            return []
        state = torch.load(path, weights_only=True)
        self.policy.load_state_dict(state["adapter"], strict=False)
        self.value_head.load_state_dict(state["value_head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.controller.coefficient = state["kl_coefficient"]
        self.moments = ppo_math.RunningMoments(*state["moments"])
        history: list[dict[str, float]] = state["history"]
        return history


def _share_of_tokens(mask: Tensor) -> Tensor | float:
    """What makes the mean of the processes' losses, each a mean over its own tokens, the mean over all tokens."""
    if world_size() == 1:
        return 1.0
    own = mask.sum()
    return own * world_size() / all_reduce_sum(own)
