"""Settings for tiny models: the values of tests, of which each names those that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tandem.rerankers.training import RankingSettings, ScheduleSettings
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.task_encoder import TaskEncoderSettings, TaskInstructions
from tandem.retrievers.training.task_settings import TaskTrainingSettings
from tandem.retrievers.training.trainer import ContrastiveSettings
from tandem.runtime.hardware import Compute


def retriever_settings(encoder: Path | str, **changes: Any) -> RetrieverSettings:
    """A ColBERT of 16 dimensions."""
    values: dict[str, Any] = {"kind": "colbert", "encoder": str(encoder), "layers": None, "dimensions": 16, "prompts": None}
    values |= {"query_tokens": 8, "document_tokens": 12, "query_expansion": False, "markers": False}
    return RetrieverSettings(**{**values, **changes})


def contrastive_settings(**changes: Any) -> ContrastiveSettings:
    """Thirty steps of four pairs."""
    values: dict[str, Any] = {"steps": 30, "batch_size": 4, "negatives": 1, "learning_rate": 5e-3, "warmup_ratio": 0.1, "temperature": 1.0}
    return ContrastiveSettings(**{**values, **changes})


def ranking_settings(**changes: Any) -> RankingSettings:
    """Forty steps of three queries, two documents each."""
    values: dict[str, Any] = {
        "loss": "point_ce",
        "steps": 40,
        "batch_size": 3,
        "documents_per_query": 2,
        "learning_rate": 3e-3,
        "lora": None,
    }
    return RankingSettings(**{**values, **changes})


def schedule_settings(**changes: Any) -> ScheduleSettings:
    """Two evaluations after a short warm-up."""
    values: dict[str, Any] = {"warmup_ratio": 0.1, "evaluations": 2, "patience": None}
    return ScheduleSettings(**{**values, **changes})


def compute_in(scratch: Path, **changes: Any) -> Compute:
    """The processor, float32, seed 1."""
    values: dict[str, Any] = {"device": "cpu", "bf16": False, "seed": 1, "scratch": scratch}
    return Compute(**{**values, **changes})


def task_training_settings(**changes: Any) -> TaskTrainingSettings:
    """Ten steps of two rows of three keys, contrastive alone."""
    values: dict[str, Any] = {
        "steps": 10,
        "batch_size": 2,
        "learning_rate": 5e-3,
        "warmup_ratio": 0.1,
        "evaluations": 2,
        "keys_per_query": 3,
    }
    values |= {"contrastive_weight": 1.0, "distillation": "off", "distillation_weight": 1.0, "overrides": {}, "batches": "epoch"}
    values |= {"teacher_temperature": 1.0, "student_temperature": 1.0, "temperature": 0.05, "cross_process_negatives": False}
    values |= {"select_positive": "first", "select_negative": "random", "teacher_scores_margin": None, "teacher_scores_min": None}
    values |= {"max_rows": None, "copies": 1}
    return TaskTrainingSettings(**{**values, **changes})


def task_encoder_settings(encoder: Path | str, **changes: Any) -> TaskEncoderSettings:
    """Two tasks with the words of the tiny tokenizer as instructions."""
    instructions = {
        "qa": TaskInstructions(query="find the rows: ", key="table: "),
        "chat": TaskInstructions(query="read the dates: ", key="times: "),
    }
    values: dict[str, Any] = {"encoder": str(encoder), "layers": None, "pooling": "mean", "dense": False, "similarity": "cosine"}
    values |= {"query_tokens": 16, "key_tokens": 24, "instructions": instructions}
    return TaskEncoderSettings(**{**values, **changes})
