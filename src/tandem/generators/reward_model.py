"""The reward model: a generator with a score head that tells the better of two queries of a document (TRL).

Loss: ``-log sigmoid(V(d, q+) - V(d, q-)) + c (V(d, q+) + V(d, q-))^2``; the second term keeps scores centred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tandem.generators.prompts import PromptSettings, QueryPrompts
from tandem.generators.rewards import ModelReward
from tandem.generators.trainers import (
    EpochSettings,
    FineTuned,
    epoch_arguments,
    merge_trained,
    preference_rows,
    train_adapter,
)
from tandem.interfaces import Reward
from tandem.llm.causal_lm import load_causal_lm, resolve_causal_lm, save_causal_lm
from tandem.records import PreferencePair
from tandem.runtime.distributed import world_size
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora, adapter_config
from tandem.runtime.weights import refuse_new_weights
from tandem.settings import Coefficient, CountOrZero, Share
from tandem.text import count_words

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["RewardModelSettings", "fit_reward_model", "load_reward_model", "pair_accuracy", "train_reward_model"]


class RewardModelSettings(EpochSettings):
    """Training of the reward model, and the gate that it has to pass."""

    center_coefficient: Coefficient
    """c of the loss: it keeps scores centred"""
    min_accuracy: Share
    """on held-out pairs; below it the reward model does not count"""
    min_pairs: CountOrZero
    """to train on; with fewer the model stays untrained and does not count"""
    lora: Lora


def load_reward_model(path: str, tokenizer: PreTrainedTokenizerBase, *, device: str = "cpu", new_head: bool = False) -> PreTrainedModel:
    """A sequence classifier with one score: a trained reward model or, with a ``new_head``, a generator that is to become one.

    Raises:
        ValueError: it has no head, and none may be new.
    """
    from transformers import AutoModelForSequenceClassification

    with refuse_new_weights(path, instead="take a reward model that was trained (stage train_reward_model)", head=new_head):
        model = AutoModelForSequenceClassification.from_pretrained(resolve_causal_lm(path), num_labels=1, dtype=torch.float32)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model.to(device)


def train_reward_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, str]],
    settings: RewardModelSettings,
    *,
    compute: Compute,
) -> FineTuned:
    """Train an adapter and the score head on preference pairs, then merge.

    Args:
        model: from :func:`load_reward_model`.
        tokenizer: the generator's.
        rows: from :func:`tandem.generators.trainers.preference_rows`.
        settings: of the training.
        compute: where and how.
    """
    from trl import RewardConfig, RewardTrainer

    steps = settings.epochs * len(rows) / (settings.batch_size * world_size())
    arguments = RewardConfig(
        **epoch_arguments(settings, rows, [], compute=compute) | {"logging_steps": max(round(steps / 30), 1)},
        center_rewards_coefficient=settings.center_coefficient or None,
    )
    adapter = adapter_config(settings.lora, task="SEQ_CLS")
    trainer = train_adapter(RewardTrainer, arguments, model, tokenizer, rows, adapter=adapter)
    return merge_trained(trainer, tokenizer, rows[0]["prompt"] + rows[0]["chosen"])


def pair_accuracy(pairs: Sequence[PreferencePair], reward: Reward) -> dict[str, float]:
    """How often the reward prefers the chosen query: over all pairs, of each kind, and for one that prefers the longer query.

    Returns:
        ``accuracy``, ``accuracy_<kind>`` and ``accuracy_of_length`` (ties count a half), or nothing where there is no pair.
    """
    if not pairs:
        return {}
    doc_ids = [pair.doc_id for pair in pairs]
    chosen, rejected = reward([p.chosen for p in pairs], doc_ids), reward([p.rejected for p in pairs], doc_ids)
    wins = [_win(a, b) for a, b in zip(chosen, rejected, strict=True)]
    lengths = [_win(count_words(p.chosen), count_words(p.rejected)) for p in pairs]
    result = {"accuracy": sum(wins) / len(wins), "accuracy_of_length": sum(lengths) / len(lengths)}
    for kind in sorted({pair.kind for pair in pairs}):
        wins_of_kind = [win for win, pair in zip(wins, pairs, strict=True) if pair.kind == kind]
        result[f"accuracy_{kind}"] = sum(wins_of_kind) / len(wins_of_kind)
    return result


def _win(a: float, b: float) -> float:
    return 1.0 if a > b else 0.5 if a == b else 0.0


def fit_reward_model(
    generator: Path,
    pairs: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair],
    documents: Mapping[str, str],
    folder: Path,
    settings: RewardModelSettings,
    *,
    prompt: PromptSettings,
    compute: Compute,
) -> tuple[list[tuple[int, float]], dict[str, float]]:
    """Train a reward model from a generator, write it, and decide by held-out accuracy whether it may count as a reward.

    Args:
        generator: folder of the merged policy.
        pairs: to train on; with too few the model is written untrained and the gate stays shut.
        held_out: pairs of other documents.
        documents: text by doc_id.
        folder: to write the model and its tokenizer into.
        settings: of the training and of the gate.
        prompt: of the generator.
        compute: where and how.

    Returns:
        The loss as (step, loss), and the gate: ``passed``, the accuracies and the number of pairs.
    """
    _, tokenizer = load_causal_lm(str(generator))
    torch.manual_seed(compute.seed)  # the score head is new, and drawn when the model is loaded
    model = load_reward_model(str(generator), tokenizer, device=compute.device, new_head=True)
    loss: list[tuple[int, float]] = []
    if pairs and len(pairs) >= settings.min_pairs:
        prompts = QueryPrompts(tokenizer, prompt)  # a judge of queries needs no examples of them
        fitted = train_reward_model(model, tokenizer, preference_rows(pairs, documents, prompts), settings, compute=compute)
        model, loss = fitted.model, fitted.loss
    accuracy = pair_accuracy(held_out, ModelReward(model, tokenizer, documents, prompt))
    passed = bool(loss) and accuracy.get("accuracy", 0.0) >= settings.min_accuracy
    save_causal_lm(model, tokenizer, folder)
    return loss, {"passed": passed, "pairs": len(pairs), "held_out_pairs": len(held_out), **accuracy}
