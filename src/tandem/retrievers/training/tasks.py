"""Train a dense retriever of one or several tasks, with labels, with a language model's feedback, or with both: LLM-Embedder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.modules import Pooling
from torch.utils.data import SequentialSampler

from tandem.records import TaskRow
from tandem.retrievers.prompts import column_roles
from tandem.retrievers.task_encoder import instruction_of, similarity_of
from tandem.retrievers.training.task_loss import TaskLoss
from tandem.retrievers.training.task_rows import select_rows
from tandem.retrievers.training.task_set import build_task_set
from tandem.retrievers.training.task_settings import TaskTrainingSettings
from tandem.runtime.checkpoints import summarise
from tandem.runtime.distributed import world_size
from tandem.runtime.hardware import Compute
from tandem.runtime.training import Trained, fit, trainer_arguments
from tandem.settings import SettingError, errors_about

__all__ = ["train_task_retriever"]


def train_task_retriever(
    model: SentenceTransformer,
    rows_by_task: Mapping[str, Sequence[TaskRow]],
    settings: TaskTrainingSettings,
    *,
    dev_score: Callable[[SentenceTransformer], Sequence[float]],
    compute: Compute,
) -> Trained:
    """Train in place for a fixed number of steps and leave the model at the step that :func:`tandem.runtime.checkpoints.choose_step` names.

    The trainer's token ids are those of :func:`tandem.retrievers.task_encoder.encode_texts`. All rows of a step are of one task, in every
    process, unless ``batches`` is off; one process with twice the batch has the losses and the gradients of two. With no row there is
    nothing to learn from, and the model stays as it is. How many rows the teacher's rules leave out,
    :func:`tandem.retrievers.training.task_rows.select_rows` says.

    Args:
        model: from :func:`tandem.retrievers.task_encoder.build_task_encoder`.
        rows_by_task: training rows.
        settings: of steps and losses.
        dev_score: a value for each dev query, higher is better; called with the model.
        compute: device, precision, seed, and the folder of checkpoints, from which a killed run goes on.

    Raises:
        SettingError: rows and settings do not fit each other, or the model has no instructions for a task.
    """
    with errors_about(settings):
        rows = select_rows(rows_by_task, settings, seed=compute.seed)
        if not rows.rows:
            return Trained([], [(0, summarise(dev_score(model))[0])], 0)
        _require_whole_prompts(model)
        similarity = similarity_of(model)
        prompts = {(task, role): instruction_of(model, task, role) for task in rows.rows for role in ("query", "key")}
        task_set = build_task_set(
            rows, settings, instruct=lambda task, role, text: prompts[task, role] + text, processes=world_size(), seed=compute.seed
        )
    loss = TaskLoss(
        model,
        task_set,
        {task: settings.of(task) for task in rows.rows},
        similarity=similarity,
        cross_process=settings.cross_process_negatives,
    )
    arguments = SentenceTransformerTrainingArguments(
        batch_sampler=batches_in_order,
        router_mapping=column_roles(task_set.columns),
        **trainer_arguments(settings, compute, warmup_ratio=settings.warmup_ratio, evaluations=settings.evaluations),
    )
    return fit(SentenceTransformerTrainer, model, task_set.columns, loss=loss, arguments=arguments, dev_score=dev_score)


def batches_in_order(dataset: Any, batch_size: int, drop_last: bool, **options: Any) -> DefaultBatchSampler:  # noqa: FBT001
    """The rows of a training set as they stand; the signature is sentence-transformers'."""
    return DefaultBatchSampler(SequentialSampler(dataset), batch_size, drop_last, **options)


def _require_whole_prompts(model: SentenceTransformer) -> None:
    """Instructions stand in the texts that are trained on: pooling that leaves prompts out would read them otherwise in search."""
    if any(isinstance(module, Pooling) and not module.include_prompt for module in model):
        raise SettingError("encoder", "its pooling leaves prompts out, which cannot be trained; build it with build_task_encoder")
