"""Train a retriever, ColBERT or dense, on the Hugging Face trainer: checkpoint chosen on dev, resumable, quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from sentence_transformers import (
    MultiVectorEncoder,
    MultiVectorEncoderTrainer,
    MultiVectorEncoderTrainingArguments,
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)

from tandem.retrievers.prompts import column_roles
from tandem.retrievers.retriever import has_dense_head
from tandem.retrievers.training.losses import NO_TEACHER, DistillationSettings, Head, MaskedContrastiveLoss, colbert_scores, dense_scores
from tandem.retrievers.training.rows import TrainingData, build_training_set
from tandem.runtime.checkpoints import summarise
from tandem.runtime.distributed import world_size
from tandem.runtime.encoders import check_length
from tandem.runtime.hardware import Compute
from tandem.runtime.training import StepSettings, Trained, fit, trainer_arguments
from tandem.settings import Coefficient, CountOrZero, PositiveTemperature, Share

__all__ = ["BothHeadsSettings", "ContrastiveSettings", "NeuralRetriever", "train_retriever"]

NeuralRetriever: TypeAlias = MultiVectorEncoder | SentenceTransformer


class ContrastiveSettings(StepSettings):
    """Contrastive training of a retriever, with in-batch and sampled negatives."""

    negatives: CountOrZero
    """sampled documents a row, beside the in-batch ones"""
    warmup_ratio: Share
    """of the steps"""
    temperature: PositiveTemperature
    """that scores are divided by: 1 for MaxSim, 0.05 for a cosine"""


class BothHeadsSettings(ContrastiveSettings):
    """The same of a retriever that may be of kind ``both``."""

    dense_temperature: PositiveTemperature = 0.05
    """that cosines of dense vectors are divided by, where the retriever is of kind both; its loss is added"""
    dense_weight: Coefficient = 1.0
    """of that loss"""


def train_retriever(
    model: NeuralRetriever,
    data: TrainingData,
    settings: ContrastiveSettings,
    *,
    evaluations: int,
    dev_score: Callable[[NeuralRetriever], Sequence[float]],
    compute: Compute,
    document_tokens: int | None = None,
    teacher: DistillationSettings = NO_TEACHER,
) -> Trained:
    """Train in place for a fixed number of steps and leave the model at the step that :func:`tandem.runtime.checkpoints.choose_step` names.

    The trainer's token ids are those of ``encode_query`` and ``encode_document``: prompts, markers and expansion included.

    With no pair there is nothing to learn from, and the model stays as it is.

    Args:
        model: a ColBERT or a dense encoder.
        data: pairs, corpus and mined negatives.
        settings: of steps and loss.
        evaluations: how often, evenly spaced, the dev score is taken.
        dev_score: a value for each dev query, higher is better; called with the model.
        compute: device, precision, seed, and the folder of checkpoints, from which a killed run goes on.
        document_tokens: cut documents here while training a ColBERT; the model keeps its length for search.
        teacher: learn from the logits of the mined rows as well.

    Raises:
        SettingError: ``training_document_tokens`` is more than the model has positions for, ``negatives`` more than there are documents.
    """
    if not data.pairs:
        return Trained([], [(0, summarise(dev_score(model))[0])], 0)
    late = isinstance(model, MultiVectorEncoder)
    rows = settings.steps * settings.batch_size * world_size()
    training_set = build_training_set(data, rows=rows, negatives=settings.negatives, with_teacher=teacher.taught, seed=compute.seed)
    loss = MaskedContrastiveLoss(
        model,
        _heads(model, settings),
        relevant=training_set.relevant,
        teacher=teacher,
    )
    arguments = (MultiVectorEncoderTrainingArguments if late else SentenceTransformerTrainingArguments)(
        **_text_arguments(model, training_set.columns, document_tokens if late else None),
        **trainer_arguments(settings, compute, warmup_ratio=settings.warmup_ratio, evaluations=evaluations),
    )
    trainer_class = MultiVectorEncoderTrainer if late else SentenceTransformerTrainer
    return fit(trainer_class, model, training_set.columns, loss=loss, arguments=arguments, dev_score=dev_score)


def _heads(model: NeuralRetriever, settings: ContrastiveSettings) -> list[Head]:
    """How a retriever scores: by its one vector, by its token vectors, or by both."""
    if not isinstance(model, MultiVectorEncoder):
        return [Head(dense_scores, settings.temperature)]
    heads = [Head(colbert_scores, settings.temperature)]
    if isinstance(settings, BothHeadsSettings) and has_dense_head(model):
        heads.append(Head(dense_scores, settings.dense_temperature, settings.dense_weight))
    return heads


def _text_arguments(model: NeuralRetriever, columns: Iterable[str], document_tokens: int | None) -> dict[str, Any]:
    """What the trainer's collator does with each column's texts: the prompt and the task of search, and the training length."""
    check_length(model[0].auto_model, document_tokens, key="training_document_tokens")
    roles = column_roles(columns)
    lengths = {"max_length": {"document": document_tokens}} if document_tokens else {}
    return {"prompts": {name: model.prompts[role] for name, role in roles.items()}, "router_mapping": roles, **lengths}
