"""Train a reranker on the Hugging Face trainer: pointwise, pairwise or listwise; best checkpoint, early stop, resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sentence_transformers import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from transformers import EarlyStoppingCallback

from tandem.rerankers.losses import Loss, build_columns, make_loss
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.ranking_data import GradedQuery, sample_groups
from tandem.rerankers.reranker import Reranker
from tandem.runtime.distributed import world_size
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora
from tandem.runtime.training import StepSettings, Trained, fit, trainer_arguments
from tandem.settings import BatchSize, Count, Layers, Logit, Settings, Share, Steps, errors_about

__all__ = ["RankingSettings", "RerankerSettings", "ScheduleSettings", "build_reranker", "train_reranker"]


class RankingSettings(StepSettings):
    """What a reranker learns by."""

    batch_size: BatchSize
    """queries a step and device"""
    loss: Loss
    """point_ce (binary cross-entropy, soft labels allowed), point_mse (of the sigmoid), margin_mse, rank_net (Burges et al. 2005),
    lambda (LambdaLoss, Wang et al. 2018) or list_ce (ListNet, Cao et al. 2007)"""
    documents_per_query: Count
    """of a query in a step, one of the highest label among them"""
    lora: Lora | None
    """train an adapter {rank, alpha, dropout} and merge it; null trains all weights"""


class RerankerSettings(RankingSettings):
    """One reranker: what it starts from, how it reads pairs, and what it learns from."""

    base: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: Layers | None
    """keep an encoder's first layers only; null keeps all"""
    rows: str
    """file of grouped rows that it learns from"""
    min_label: Logit
    """becomes 0"""
    max_label: Logit
    """becomes 1"""
    form: PairFormat


class ScheduleSettings(Settings):
    """What the training of all rerankers shares."""

    warmup_ratio: Share
    """of the steps"""
    evaluations: Steps
    """dev scores, evenly spaced; the last checkpoint stays unless it is a standard error worse than the best"""
    patience: Steps | None
    """stop after so many evaluations without a better score; null never stops"""


def build_reranker(settings: RerankerSettings, compute: Compute) -> Reranker:
    """The untrained reranker; a head that its base does not have is a new one, by seed.

    Raises:
        SettingError: the base has fewer layers or positions than asked for.
        ValueError: the base lacks weights of another part than the head.
    """
    with errors_about(settings):
        return Reranker(
            settings.base,
            settings.form,
            layers=settings.layers,
            new_head=True,
            device=compute.device,
            bf16=compute.bf16,
            seed=compute.seed,
        )


def train_reranker(
    reranker: Reranker,
    rows: Sequence[GradedQuery],
    settings: RankingSettings,
    schedule: ScheduleSettings,
    *,
    dev_score: Callable[[Reranker], Sequence[float]],
    compute: Compute,
) -> Trained:
    """Train in place for a fixed number of steps; the reranker ends at the step that :func:`tandem.runtime.checkpoints.choose_step` names.

    With no row there is nothing to learn from, and the reranker stays as it is.

    Args:
        reranker: to train.
        rows: queries with labelled documents.
        settings: of steps and loss.
        schedule: of warm-up and dev scores.
        dev_score: a value for each dev query, higher is better; called with the reranker.
        compute: device, precision, seed, and the folder of checkpoints, from which a killed run goes on.
    """
    if not rows:
        return Trained([], [], 0)
    number = settings.steps * settings.batch_size * world_size()
    groups = sample_groups(rows, groups=number, documents=settings.documents_per_query, seed=compute.seed)
    columns, width = build_columns(groups, settings.loss)
    model = reranker.model
    if settings.lora is not None:
        reranker.scorer.add_adapter(settings.lora)

    def score(_: CrossEncoder) -> Sequence[float]:
        return dev_score(reranker)

    arguments = trainer_arguments(
        settings, compute, warmup_ratio=schedule.warmup_ratio, evaluations=schedule.evaluations, rows_per_query=width
    )
    trained = fit(
        CrossEncoderTrainer,
        model,
        columns,
        loss=make_loss(model, settings.loss),
        arguments=CrossEncoderTrainingArguments(**arguments),
        dev_score=score,
        callbacks=[] if schedule.patience is None else [EarlyStoppingCallback(early_stopping_patience=schedule.patience)],
    )
    reranker.scorer.merge_adapter()
    return trained
