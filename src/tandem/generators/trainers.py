"""What TRL's trainers of generators share: rows of preference pairs, arguments (one checkpoint kept, quiet, reproducible), and the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.generators.prompts import completion_text, render_prompts
from tandem.records import PreferencePair
from tandem.runtime.checkpoints import latest_checkpoint
from tandem.runtime.distributed import gather_weights, world_size

__all__ = ["common_settings", "epoch_settings", "preference_rows", "train_whole"]


def preference_rows(
    pairs: Sequence[PreferencePair], documents: Mapping[str, str], tokenizer: Any, *, template: str, max_document_tokens: int
) -> list[dict[str, str]]:
    """Prompt, chosen and rejected completion of each pair, as TRL takes them; the prompt's keywords stay empty."""
    prompts = render_prompts(
        [documents[pair.doc_id] for pair in pairs],
        [""] * len(pairs),
        tokenizer,
        template=template,
        max_document_tokens=max_document_tokens,
    )
    return [
        {"prompt": prompt, "chosen": completion_text(pair.chosen, tokenizer), "rejected": completion_text(pair.rejected, tokenizer)}
        for prompt, pair in zip(prompts, pairs, strict=True)
    ]


def common_settings(*, batch_size: int, learning_rate: float, scratch: Path, cpu: bool, bf16: bool, seed: int) -> dict[str, Any]:
    """Arguments of any of TRL's configurations.

    Args:
        batch_size: rows a step and process.
        learning_rate: peak.
        scratch: checkpoints live here.
        cpu: train on it, whatever else there is.
        bf16: train under bfloat16 autocast.
        seed: of order and dropout.
    """
    return {
        "output_dir": str(scratch / "checkpoints"),
        "per_device_train_batch_size": batch_size,
        "learning_rate": learning_rate,
        "gradient_checkpointing": False,
        "save_total_limit": 1,
        "use_cpu": cpu,
        "bf16": bf16,
        "dataloader_pin_memory": False,
        "seed": seed,
        "report_to": [],
    }


def epoch_settings(*, rows: int, epochs: float, batch_size: int, **settings: Any) -> dict[str, Any]:
    """:func:`common_settings` for passes over rows: cosine decay after a tenth of warm-up, a checkpoint an epoch, nothing truncated.

    Args:
        rows: to learn from.
        epochs: passes over them.
        batch_size: rows a step and process.
        settings: of :func:`common_settings`.
    """
    return {
        **common_settings(batch_size=batch_size, **settings),
        "num_train_epochs": epochs,
        "lr_scheduler_type": "cosine",
        "warmup_steps": round(epochs * rows / (batch_size * world_size()) / 10),
        "max_length": None,
        "save_strategy": "epoch",
    }


def train_whole(trainer: Any, scratch: Path) -> None:
    """Run a trainer, from its checkpoint in ``scratch`` if there is one; its model ends with all weights in every process."""
    trainer.train(resume_from_checkpoint=latest_checkpoint(scratch / "checkpoints"))
    gather_weights(trainer)
