"""What the trainers of generators share: rows of preference pairs, arguments of TRL, and the run of an adapter from start to merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tandem.generators.prompts import QueryPrompts
from tandem.records import PreferencePair
from tandem.runtime.checkpoints import latest_checkpoint
from tandem.runtime.distributed import gather_weights, world_size
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import merge_adapter
from tandem.settings import BatchSize, Epochs, LearningRate, Settings

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

__all__ = [
    "EpochSettings",
    "FineTuned",
    "common_arguments",
    "epoch_arguments",
    "merge_on",
    "merge_trained",
    "preference_rows",
    "train_adapter",
]

Row = dict[str, str]


class EpochSettings(Settings):
    """Passes over rows that are known beforehand."""

    epochs: Epochs
    """passes over the rows"""
    batch_size: BatchSize
    """rows a step and process"""
    learning_rate: LearningRate
    """the peak; cosine decay after a tenth of warm-up"""


@dataclass(frozen=True, slots=True)
class FineTuned:
    """The merged model, its loss curves as (step, loss), and the largest difference that merging made to an output."""

    model: PreTrainedModel
    loss: list[tuple[int, float]]
    dev_loss: list[tuple[int, float]]
    merge_difference: float


def preference_rows(pairs: Sequence[PreferencePair], documents: Mapping[str, str], prompts: QueryPrompts) -> list[Row]:
    """Prompt, chosen and rejected completion of each pair, as TRL takes them.

    Args:
        pairs: of queries.
        documents: text by doc_id; it is cut to the prompt's length, a query never is.
        prompts: how the generator's prompts are made; keywords stay empty, for the two queries may have been written with different ones.
    """
    rendered = prompts.render([documents[pair.doc_id] for pair in pairs], [""] * len(pairs))
    return [
        {"prompt": text, "chosen": prompts.completion(pair.chosen), "rejected": prompts.completion(pair.rejected)}
        for text, pair in zip(rendered, pairs, strict=True)
    ]


def common_arguments(*, batch_size: int, learning_rate: float, compute: Compute) -> dict[str, Any]:
    """Arguments of any of TRL's configurations: one checkpoint kept, quiet, reproducible."""
    return {
        "output_dir": str(compute.scratch / "checkpoints"),
        "per_device_train_batch_size": batch_size,
        "learning_rate": learning_rate,
        "gradient_checkpointing": False,
        "save_total_limit": 1,
        "use_cpu": compute.device == "cpu",
        "bf16": compute.bf16,
        "dataloader_pin_memory": False,
        "seed": compute.seed,
        "report_to": [],
    }


def epoch_arguments(settings: EpochSettings, rows: Sequence[Row], dev_rows: Sequence[Row], *, compute: Compute) -> dict[str, Any]:
    """:func:`common_arguments` for passes over rows: a checkpoint and, where there are any, the loss of the dev rows after each epoch.

    Nothing is truncated.
    """
    return {
        **common_arguments(batch_size=settings.batch_size, learning_rate=settings.learning_rate, compute=compute),
        "num_train_epochs": settings.epochs,
        "lr_scheduler_type": "cosine",
        "warmup_steps": round(settings.epochs * len(rows) / (settings.batch_size * world_size()) / 10),
        "max_length": None,
        "logging_steps": 1,
        "save_strategy": "epoch",
        "eval_strategy": "epoch" if dev_rows else "no",
        "per_device_eval_batch_size": settings.batch_size,
    }


def train_adapter(
    trainer_class: Callable[..., Trainer],
    arguments: TrainingArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, object]],
    *,
    dev_rows: Sequence[Row] = (),
    adapter: LoraConfig,
) -> Trainer:
    """Train an adapter with one of TRL's trainers, from a checkpoint if there is one; every process ends with all weights.

    Args:
        trainer_class: of TRL.
        arguments: its configuration.
        model: that gets the adapter.
        tokenizer: its tokenizer.
        rows: to learn from.
        dev_rows: to be measured on; may be empty.
        adapter: from :func:`tandem.runtime.lora.adapter_config`.
    """
    from datasets import Dataset

    torch.manual_seed(arguments.seed)  # of the adapter's start
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(list(rows)),
        eval_dataset=Dataset.from_list(list(dev_rows)) if dev_rows else None,
        processing_class=tokenizer,
        peft_config=adapter,
    )
    trainer.train(resume_from_checkpoint=latest_checkpoint(Path(arguments.output_dir)))
    gather_weights(trainer)
    return trainer


def merge_on(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[PreTrainedModel, float]:
    """Merge a model's adapter, checked on a text; see :func:`tandem.runtime.lora.merge_adapter`."""
    example = tokenizer([text], return_tensors="pt")
    return merge_adapter(model, {key: example[key] for key in ("input_ids", "attention_mask")})


def merge_trained(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, text: str) -> FineTuned:
    """The merged model of a trainer that has trained, checked on a text, with the losses that it logged."""
    merged, difference = merge_on(trainer.model, tokenizer, text)
    history = trainer.state.log_history
    return FineTuned(
        merged,
        [(row["step"], row["loss"]) for row in history if "loss" in row],
        [(row["step"], row["eval_loss"]) for row in history if "eval_loss" in row],
        difference,
    )
