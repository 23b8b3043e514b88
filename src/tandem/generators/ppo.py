"""PPO of the generator: LoRA policy with a value head, the merged policy as reference, any function as reward.

Departures from iGFT: rollouts come from exactly the distribution that the log-probabilities are taken from (temperature alone, no top-k
or top-p); documents are visited easy to hard by a sequential sampler, where the released code's sampler shuffles them; a response that
does not end is penalised; a run goes on exactly where it was stopped. Under a launcher every process rolls out and learns from prompts
that no other one has: rewards and advantages are standardised over all of them, gradients are averaged by tokens, and one process saves.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import model_validator
from torch import Tensor, nn
from tqdm import tqdm

from tandem.generators import ppo_math
from tandem.generators.policy import Policy
from tandem.generators.rewards import WeightedRewards
from tandem.generators.rollouts import Curriculum, Prompt
from tandem.llm.parsing import clean_query
from tandem.runtime.distributed import all_reduce_mean, all_reduce_sum, average_gradients, gather, init_processes, process_rank, world_size
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora
from tandem.settings import (
    BatchSize,
    Coefficient,
    LearningRate,
    PositiveCoefficient,
    PositiveShare,
    PositiveTemperature,
    Settings,
    Share,
    Steps,
    StepsOrZero,
    Tokens,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["PPO", "PPOSettings", "Rollout"]

CHECKPOINT = "ppo.pt"


class PPOSettings(Settings):
    """PPO."""

    steps: StepsOrZero
    """rollouts, each learnt from; 0 leaves the generator as it is"""
    batch_size: BatchSize
    """responses a step and process"""
    minibatch_size: BatchSize
    """responses a gradient step and process"""
    responses: BatchSize = 1
    """to each prompt; they share its computation. batch_size and minibatch_size are multiples of it"""
    epochs: Steps
    """passes over a step's responses"""
    learning_rate: LearningRate
    """of AdamW, constant"""
    kl_coefficient: Coefficient
    """of the KL penalty of each token, at the start"""
    target_kl: PositiveCoefficient | None
    """steer the KL coefficient towards this KL a response; null keeps it fixed"""
    temperature: PositiveTemperature
    """of sampling and of the log-probabilities"""
    max_new_tokens: Tokens
    """of a response"""
    missing_end_penalty: Coefficient
    """taken off the standardised score of a response that does not end"""
    score_clip: PositiveCoefficient
    """standardised scores are cut to it, on both sides"""
    clip: PositiveShare
    """of the probability ratio"""
    value_clip: PositiveCoefficient
    """of a value's change in an update"""
    value_coefficient: Coefficient
    """of the value loss, beside the policy's"""
    gamma: Share
    """discount of a token"""
    lam: Share
    """lambda of the generalised advantages"""
    max_grad_norm: PositiveCoefficient
    """gradients are cut to it"""

    @model_validator(mode="after")
    def _whole_prompts(self) -> PPOSettings:
        for key in ("batch_size", "minibatch_size"):
            if (size := getattr(self, key)) % self.responses:
                raise ValueError(f"{key}: {size} found, a multiple of responses, {self.responses}, is expected")
        return self


@dataclass(frozen=True, slots=True)
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


class PPO:
    """A PPO run.

    Args:
        model: the merged policy of the round before; see :class:`tandem.generators.policy.Policy`.
        tokenizer: its tokenizer, padding on the left, pad and end token distinct.
        rewards: of the queries that it writes.
        settings: of the run.
        lora: the adapter; without dropout.
        compute: where and how; PPO computes in float32 whatever it says, for its ratios are of log-probabilities.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rewards: WeightedRewards,
        settings: PPOSettings,
        *,
        lora: Lora,
        compute: Compute,
    ) -> None:
        init_processes()
        torch.manual_seed(compute.seed)  # of the adapter's start
        self.rewards, self.settings, self.compute = rewards, settings, compute
        self.policy = Policy(model, tokenizer, lora=lora, temperature=settings.temperature)
        self.trained = self.policy.trained_parameters()
        self.optimizer = torch.optim.AdamW(self.trained, lr=settings.learning_rate, weight_decay=0.0)
        self.controller = ppo_math.KLController(settings.kl_coefficient, settings.target_kl)
        self.moments = ppo_math.RunningMoments()

    def train(self, curriculum: Curriculum) -> list[dict[str, float]]:
        """Run all steps, from the last checkpoint in the scratch folder if there is one.

        Returns:
            One row of metrics a step.

        Raises:
            RuntimeError: the policy differs from its reference before the first update, or a loss is not finite.
        """
        history = self._restore()
        rank, processes = process_rank(), world_size()
        responses = self.settings.responses
        batches = curriculum.batches(self.settings.batch_size // responses * processes)
        for step, batch in zip(tqdm(range(self.settings.steps), desc="PPO", unit="step"), batches, strict=False):
            if step < len(history):
                continue
            torch.manual_seed(zlib.crc32(f"{self.compute.seed}:{step}{f':{rank}' if rank else ''}".encode()))
            rollout = self.roll_out([prompt for prompt in batch[rank::processes] for _ in range(responses)])
            if step == 0 and abs(rollout.metrics["kl"]) > 1e-4:
                raise RuntimeError(f"KL to the reference is {rollout.metrics['kl']:.2g} before any update, 0 is expected")
            losses = self.update(rollout)
            self.controller.update(rollout.metrics["kl"], len(batch) * responses)
            difficulty = sum(prompt.difficulty for prompt in batch) / len(batch)
            history.append({"step": step + 1, "difficulty": difficulty, **rollout.metrics, **losses})
            if rank == 0:
                self._save(history)
        return history

    def roll_out(self, prompts: Sequence[Prompt]) -> Rollout:
        """Sample a response to each prompt and compute its log-probabilities, values, rewards and advantages."""
        written = self.policy.respond([prompt.text for prompt in prompts], max_new_tokens=self.settings.max_new_tokens)
        ids, attention, prompt_tokens, mask = written.ids, written.attention, written.prompt_tokens, written.mask
        with torch.no_grad():
            evaluation = self.policy.evaluate(ids, attention, prompt_tokens)
            reference = self.policy.reference_log_probs(ids, attention, prompt_tokens)
        log_probs, values = evaluation.log_probs, evaluation.values
        earned = self.rewards.score([clean_query(text) for text in written.texts], [prompt.doc_id for prompt in prompts])
        raw = torch.tensor(earned.totals)
        scores = self._standardise(raw, written.ended).to(mask.device)
        rewards = ppo_math.shaped_rewards(scores, log_probs, reference, mask, kl_coefficient=self.controller.coefficient)
        advantages, returns = ppo_math.generalised_advantages(rewards, values, mask, gamma=self.settings.gamma, lam=self.settings.lam)
        metrics = {
            "reward": float(raw.mean()),
            "score": float(scores.mean()),
            "kl": float(((log_probs - reference) * mask).sum(1).mean()),
            "kl_coefficient": self.controller.coefficient,
            "entropy": float(ppo_math.masked_mean(evaluation.entropy(), mask)),
            "explained_variance": ppo_math.explained_variance(values, returns, mask),
            "length": float(mask.sum(1).mean()),
            "ended": float(written.ended.float().mean()),
            **{f"{name}_reward": mean for name, mean in earned.means.items()},
        }
        return Rollout(ids, attention, prompt_tokens, mask, log_probs, values * mask, advantages, returns, all_reduce_mean(metrics))

    def _standardise(self, rewards: Tensor, ended: Tensor) -> Tensor:
        """Rewards at mean 0 and variance 1 of all so far, of all processes, cut, less the penalty where a response does not end."""
        self.moments.update(torch.tensor(gather(rewards.tolist())))
        scores = self.moments.standardise(rewards).clamp(-self.settings.score_clip, self.settings.score_clip)
        return scores - self.settings.missing_end_penalty * (1 - ended.float().cpu())

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Several passes of clipped gradient steps over a rollout, responses to one prompt together; the mean of each loss."""
        advantages, responses = ppo_math.whiten(rollout.advantages, rollout.mask, all_reduce_sum), self.settings.responses
        sums: dict[str, float] = {}
        gradient_steps = 0
        for _ in range(self.settings.epochs):
            for prompts in torch.split(torch.randperm(len(rollout.ids) // responses), self.settings.minibatch_size // responses):
                rows = (prompts.unsqueeze(1) * responses + torch.arange(responses)).flatten()
                losses = self._step(rollout, advantages, rows)
                gradient_steps += 1
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
        return all_reduce_mean({name: value / gradient_steps for name, value in sums.items()})

    def _step(self, rollout: Rollout, advantages: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """One gradient step on some rows of a rollout.

        Raises:
            RuntimeError: the loss is not finite.
        """
        settings, mask = self.settings, rollout.mask[rows]
        now = self.policy.evaluate(rollout.ids[rows], rollout.attention[rows], rollout.prompt_tokens)
        actor, clipped = ppo_math.policy_loss(now.log_probs, rollout.log_probs[rows], advantages[rows], mask, clip=settings.clip)
        critic = ppo_math.value_loss(now.values, rollout.values[rows], rollout.returns[rows], mask, clip=settings.value_clip)
        loss = actor + settings.value_coefficient * critic
        if not torch.isfinite(loss):
            raise RuntimeError(f"PPO loss is {loss.item()}: lower its learning_rate, {settings.learning_rate}, or check the rewards")
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss * _share_of_tokens(mask))
        average_gradients(self.trained)
        norm = nn.utils.clip_grad_norm_(self.trained, settings.max_grad_norm)
        self.optimizer.step()
        return {"policy_loss": actor, "value_loss": critic, "clip_fraction": clipped, "gradient_norm": norm}

    def _save(self, history: Sequence[dict[str, float]]) -> None:
        path = self.compute.scratch / CHECKPOINT
        state = {
            **self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "kl_coefficient": self.controller.coefficient,
            "moments": [self.moments.count, self.moments.mean, self.moments.variance],
            "history": list(history),
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def _restore(self) -> list[dict[str, float]]:
        path = self.compute.scratch / CHECKPOINT
        if not path.exists():
            return []
        state = torch.load(path, weights_only=True)
        self.policy.load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.controller.coefficient = state["kl_coefficient"]
        self.moments = ppo_math.RunningMoments(*state["moments"])
        history: list[dict[str, float]] = state["history"]
        return history


def _share_of_tokens(mask: Tensor) -> Tensor | float:
    """What makes the mean of the processes' losses, each a mean over the tokens that one has, the mean over all tokens."""
    if world_size() == 1:
        return 1.0
    tokens = mask.sum()
    return tokens * world_size() / all_reduce_sum(tokens)
