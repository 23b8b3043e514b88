"""Direct preference optimisation of the generator (Rafailov et al. 2023) on the pairs that the retriever has told apart (TRL).

Loss: ``-log sigmoid(b (log pi(q+|d) - log ref(q+|d)) - b (log pi(q-|d) - log ref(q-|d)))`` (equation 7); the reference is the policy with
its adapter off. ``hinge`` is SLiC's (Zhao et al. 2023), ``ipo`` Azar et al. (2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tandem.generators.trainers import epoch_settings, preference_rows, train_whole
from tandem.records import PreferencePair
from tandem.runtime.lora import adapter_config

__all__ = ["optimise_preferences"]

NAMES = {"loss": "loss", "rewards/margins": "reward", "rewards/accuracies": "accuracy", "grad_norm": "gradient_norm"}
HELD_OUT = {"eval_rewards/accuracies": "held_out_accuracy", "eval_rewards/margins": "held_out_reward"}


def optimise_preferences(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair],
    documents: Mapping[str, str],
    *,
    template: str,
    max_document_tokens: int,
    epochs: float,
    batch_size: int,
    learning_rate: float,
    beta: float,
    loss: str,
    label_smoothing: float,
    fine_tuning_weight: float,
    lora_rank: int,
    lora_alpha: int,
    scratch: Path,
    bf16: bool,
    seed: int,
) -> tuple[Any, list[dict[str, float]]]:
    """Train an adapter on preference pairs.

    Args:
        model: the merged policy of the round before.
        tokenizer: its tokenizer.
        pairs: to train on.
        held_out: pairs of other documents, measured after each epoch; may be empty.
        documents: text by doc_id.
        template: of the prompt; keywords stay empty, for a pair's two queries may have been written with different ones.
        max_document_tokens: the document is cut, the query never.
        epochs: passes over the pairs.
        batch_size: pairs a step and process.
        learning_rate: peak; cosine decay after a tenth of warm-up.
        beta: b above; higher stays nearer to the reference.
        loss: ``sigmoid`` (DPO), ``hinge`` or ``ipo``.
        label_smoothing: share of pairs that are taken to be the wrong way round (sigmoid alone).
        fine_tuning_weight: of the chosen query's own negative log-likelihood beside the loss; 0 leaves it out.
        lora_rank: of the adapter.
        lora_alpha: its scale is alpha over rank.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of order and of the adapter's start.

    Returns:
        The policy with its adapter, and a row of metrics for each logged step: ``reward`` is the implicit reward by which the chosen query
        leads the rejected one, ``accuracy`` how often it leads; ``held_out_`` the same of held-out pairs.
    """
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    prompt: dict[str, Any] = {"template": template, "max_document_tokens": max_document_tokens}
    rows, dev_rows = (preference_rows(part, documents, tokenizer, **prompt) for part in (pairs, held_out))
    settings = DPOConfig(
        **epoch_settings(
            rows=len(rows),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            scratch=scratch,
            cpu=model.device.type == "cpu",
            bf16=bf16,
            seed=seed,
        ),
        beta=beta,
        loss_type=[loss, "sft"] if fine_tuning_weight else [loss],
        loss_weights=[1.0, fine_tuning_weight] if fine_tuning_weight else None,
        label_smoothing=label_smoothing,
        logging_steps=1,
        eval_strategy="epoch" if dev_rows else "no",
        per_device_eval_batch_size=batch_size,
    )
    torch.manual_seed(seed)
    trainer = DPOTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(dev_rows) if dev_rows else None,
        processing_class=tokenizer,
        peft_config=adapter_config(rank=lora_rank, alpha=lora_alpha, dropout=0.0),
    )
    train_whole(trainer, scratch)
    by_step: dict[int, dict[str, float]] = {}
    for logged in trainer.state.log_history:
        row = by_step.setdefault(logged["step"], {"step": float(logged["step"])})
        row |= {name: logged[key] for key, name in {**NAMES, **HELD_OUT}.items() if key in logged}
    return trainer.model, [row for row in by_step.values() if "loss" in row]
