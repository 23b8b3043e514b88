"""One improvement of a generator: rewards and gate, policy optimisation by the algorithm of choice, merged result."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import orjson

from tandem.generators.dpo import DPOSettings, optimise_preferences
from tandem.generators.grpo import GroupSettings, optimise_in_groups
from tandem.generators.ppo import PPO, PPOSettings
from tandem.generators.prompts import PromptedSettings, PromptSettings, QueryPrompts, read_examples
from tandem.generators.reward_model import load_reward_model
from tandem.generators.rewards import ModelReward, RewardSettings, WeightedRewards
from tandem.generators.rollouts import Curriculum, Order, Prompt, plan_rollouts
from tandem.generators.trainers import merge_on, preference_rows
from tandem.interfaces import Reward
from tandem.llm.causal_lm import load_causal_lm, save_causal_lm
from tandem.records import PreferencePair
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora
from tandem.settings import Layers, Rank, Settings

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Feedback", "ImprovementSettings", "RewardSources", "improve_generator", "mean_of_last", "series_of", "weigh_rewards"]


class ImprovementSettings(Settings):
    """How a generator is improved."""

    algorithm: Literal["ppo", "rloo", "grpo", "dpo"]
    """the first three learn from rewards of what the generator writes, dpo from preference pairs"""
    rewards: RewardSettings
    """nothing to dpo"""
    order: Order
    """in which documents are visited; nothing to dpo"""
    lora_rank: Rank
    lora_alpha: Rank
    lora_last_layers: Layers | None = None
    """layers that get the adapter, from the last one back, all where there are fewer; null: all"""
    ppo: PPOSettings
    group: GroupSettings
    """of rloo and grpo"""
    dpo: DPOSettings

    @property
    def lora(self) -> Lora:
        """The adapter that is trained, without dropout."""
        return Lora(rank=self.lora_rank, alpha=self.lora_alpha, last_layers=self.lora_last_layers)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a round's retriever has said of the generator's queries.

    Args:
        documents: text by doc_id.
        difficulty: by doc_id; only these documents are visited.
        pairs: for ``dpo``.
        held_out: pairs of other documents, for ``dpo`` to be measured on.
    """

    documents: Mapping[str, str]
    difficulty: Mapping[str, float]
    pairs: Sequence[PreferencePair]
    held_out: Sequence[PreferencePair]


@dataclass(frozen=True, slots=True)
class RewardSources:
    """Where rewards come from; one whose weight is 0 is never opened.

    Args:
        round_trip: makes the reward of that name.
        reward_model: folder of the merged reward model.
        gate: JSON with ``passed``; the reward model counts only where it is true.
    """

    round_trip: Callable[[], Reward]
    reward_model: Path
    gate: Path


def improve_generator(
    generator: Path,
    feedback: Feedback,
    folder: Path,
    settings: ImprovementSettings,
    *,
    prompted: PromptedSettings,
    sources: RewardSources,
    compute: Compute,
) -> list[dict[str, float]]:
    """Train the generator on rewards of what it writes, or on preference pairs, and write it merged; with nothing to learn from, unchanged.

    Args:
        generator: folder of the merged policy to start from.
        feedback: documents, their difficulty and preference pairs.
        folder: to write into.
        settings: the algorithm, and those of each.
        prompted: how a prompt is made.
        sources: of the rewards; nothing to ``dpo``.
        compute: where and how.

    Returns:
        One row of metrics a step.
    """
    model, tokenizer = load_causal_lm(str(generator), device=compute.device)
    prompt, examples = prompted.prompt, read_examples(generator)
    prompts = QueryPrompts(tokenizer, prompt, examples=examples)
    if settings.algorithm == "dpo":
        policy, history = _learn_preferences(model, tokenizer, feedback, settings, prompts, compute)
    else:
        rewards = weigh_rewards(settings.rewards, sources, tokenizer, feedback.documents, prompt, device=compute.device)
        rollouts = plan_rollouts(feedback.documents, feedback.difficulty, tokenizer, prompted, seed=compute.seed, examples=examples)
        policy, history = _learn_rewards(model, tokenizer, rollouts, settings, rewards, compute)
    if history:
        example = prompts.render([next(iter(feedback.documents.values()))], [""])
        model, _ = merge_on(policy, tokenizer, example[0])
    save_causal_lm(model, tokenizer, folder)
    prompts.save(folder)
    return history


def _learn_preferences(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    feedback: Feedback,
    settings: ImprovementSettings,
    prompts: QueryPrompts,
    compute: Compute,
) -> tuple[PreTrainedModel | PeftModel, list[dict[str, float]]]:
    """The policy with its adapter and a row of metrics a step; where there is nothing to learn, the model and no row."""
    if not feedback.pairs or not settings.dpo.epochs:
        return model, []
    rows, held_out_rows = (preference_rows(pairs, feedback.documents, prompts) for pairs in (feedback.pairs, feedback.held_out))
    return optimise_preferences(model, tokenizer, rows, held_out_rows, settings.dpo, lora=settings.lora, compute=compute)


def _learn_rewards(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rollouts: Sequence[Prompt],
    settings: ImprovementSettings,
    rewards: WeightedRewards,
    compute: Compute,
) -> tuple[PreTrainedModel | PeftModel, list[dict[str, float]]]:
    """The policy with its adapter and a row of metrics a step; where there is nothing to learn, the model and no row."""
    steps = settings.ppo.steps if settings.algorithm == "ppo" else settings.group.steps
    if not rollouts or not rewards.rewards or not steps:
        return model, []
    curriculum = Curriculum(rollouts, settings.order, compute.seed)
    if settings.algorithm in ("rloo", "grpo"):
        return optimise_in_groups(
            model, tokenizer, curriculum, rewards, settings.group, algorithm=settings.algorithm, lora=settings.lora, compute=compute
        )
    ppo = PPO(model, tokenizer, rewards, settings.ppo, lora=settings.lora, compute=compute)
    history = ppo.train(curriculum)
    return ppo.policy.model, history


def weigh_rewards(
    settings: RewardSettings,
    sources: RewardSources,
    tokenizer: PreTrainedTokenizerBase,
    documents: Mapping[str, str],
    prompt: PromptSettings,
    *,
    device: str,
) -> WeightedRewards:
    """The rewards that have a weight, the reward model among them only where its gate has passed; there may be none.

    Args:
        settings: the weights.
        sources: of the rewards.
        tokenizer: the generator's.
        documents: text by doc_id.
        prompt: that the reward model was trained with.
        device: for the reward model.
    """
    rewards: dict[str, tuple[float, Reward]] = {}
    if settings.round_trip:
        rewards["round_trip"] = settings.round_trip, sources.round_trip()
    if settings.reward_model and _passes(sources.gate):
        judge = load_reward_model(str(sources.reward_model), tokenizer, device=device)
        rewards["reward_model"] = settings.reward_model, ModelReward(judge, tokenizer, documents, prompt)
    return WeightedRewards(rewards, settings.cap)


def _passes(gate: Path) -> bool:
    """Whether a reward model may count; where it may not, a warning says why."""
    decision = orjson.loads(gate.read_bytes())
    if not decision["passed"]:
        warnings.warn(f"the reward model did not pass its gate ({gate}: {decision}) and does not count", stacklevel=4)
    return bool(decision["passed"])


def series_of(history: Sequence[Mapping[str, float]]) -> dict[str, list[tuple[int, float]]]:
    """Each metric as points of (step, value), over the steps that have it; ``step`` itself is always among them."""
    names = sorted({name for row in history for name in row} | {"step"})
    return {name: [(int(row["step"]), row[name]) for row in history if name in row] for name in names}


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
