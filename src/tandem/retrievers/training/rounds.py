"""Train the retriever of one round, from the one that every round starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import model_validator

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, MinedRow, PseudoQuery
from tandem.retrievers.retriever import build_retriever, save_retriever, search
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.losses import DistillationSettings
from tandem.retrievers.training.merge import Merge, Merged, copy_weights, merge_with_start
from tandem.retrievers.training.pairs import Measure, PairSettings, choose_dev, choose_pairs, identical_documents
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import BothHeadsSettings, NeuralRetriever, train_retriever
from tandem.runtime.hardware import Compute
from tandem.runtime.training import Trained
from tandem.settings import CountOrZero, SettingError, Steps, Tokens, errors_about

__all__ = ["RoundData", "RoundSettings", "train_round"]


class RoundSettings(BothHeadsSettings, PairSettings):
    """Training of a round's retriever."""

    evaluations: Steps
    """dev scores, evenly spaced; the last checkpoint stays unless it is a standard error worse than the best"""
    training_document_tokens: Tokens | None
    """documents are cut here while a ColBERT trains; search uses retriever.document_tokens"""
    dev_documents: CountOrZero
    """random documents that dev queries are searched among, beside the relevant ones"""
    top_negatives: CountOrZero
    """of a row's negatives, those that are drawn from the first ten mined ones of its query, the others from the rest; 0: all from all"""
    distillation: DistillationSettings
    merge: Merge
    """share of the trained weights in their average with those of the start: 1 is the training alone, 0 the start; dev: chosen on dev
    queries among 0, .25, .5, .75 and 1, half way where no other is a standard error better"""

    @model_validator(mode="after")
    def _no_more_of_the_top_than_in_all(self) -> Self:
        if self.top_negatives > self.negatives:
            raise ValueError(f"top_negatives: {self.top_negatives} found, at most negatives, {self.negatives}, is allowed")
        return self


@dataclass(frozen=True, slots=True)
class RoundData:
    """What a round's retriever is trained on.

    Args:
        corpus: the documents.
        labelled_pairs: training pairs.
        dev_pairs: they choose the checkpoint.
        generated: rows of the rounds whose kept queries are trained on.
        mined: hard negatives and masked documents of the queries, by doc_ids, and a teacher's scores.
    """

    corpus: Sequence[Document]
    labelled_pairs: Sequence[LabelledPair]
    dev_pairs: Sequence[LabelledPair]
    generated: Sequence[Sequence[PseudoQuery]]
    mined: Sequence[MinedRow] = ()


def train_round(
    data: RoundData, folder: Path, settings: RoundSettings, start: RetrieverSettings, *, measure: Measure, compute: Compute
) -> tuple[Trained, dict[str, float]]:
    """Train a retriever on labelled pairs and kept queries, merge it with its start, and write its weights.

    Args:
        data: pairs, queries and corpus.
        folder: to write the weights into.
        settings: of the training.
        start: the untrained retriever; every round starts there, not from the round before.
        measure: of the dev score.
        compute: device, precision, seed, and the folder of checkpoints.

    Returns:
        What training did; and the numbers of training pairs and dev queries, the share ``merge`` of the trained weights, and the dev
        score of each share that it was chosen among.

    Raises:
        SettingError: there is no teacher, and the contrastive loss has no weight.
    """
    texts = Corpus.of(data.corpus).texts
    pairs = choose_pairs(data.labelled_pairs, data.generated, settings, seed=compute.seed)
    dev = choose_dev(data.dev_pairs, texts, dev_documents=settings.dev_documents, seed=compute.seed)
    model = build_retriever(start, seed=compute.seed, device=compute.device)
    weights = copy_weights(model) if settings.merge != 1 else {}

    def dev_score(model: NeuralRetriever) -> Sequence[float]:
        return measure(dev.pairs, search(model, dev.documents, dev.queries, depth=10))

    with errors_about(settings):
        if pairs:
            _require_something_to_learn(data.mined, settings.distillation)
        trained = train_retriever(
            model,
            TrainingData(pairs, data.corpus, data.mined, identical_documents(data.labelled_pairs, texts), settings.top_negatives),
            settings,
            evaluations=settings.evaluations,
            dev_score=dev_score,
            compute=compute,
            document_tokens=settings.training_document_tokens,
            teacher=settings.distillation,
        )
    # Of a training that is no better than its start nothing is left to merge.
    merged = merge_with_start(model, weights, settings.merge, lambda: dev_score(model)) if trained.best_step else Merged(0.0)
    save_retriever(model, folder)
    scores = {f"merge_{share:g}_dev_ndcg_at_10": score for share, score in merged.dev.items()}
    return trained, {"training_pairs": len(pairs), "dev_queries": len(dev.queries), "merge": merged.share, **scores}


def _require_something_to_learn(mined: Sequence[MinedRow], teacher: DistillationSettings) -> None:
    if teacher.taught and not teacher.contrastive_weight and not any(row.pos_scores for row in mined):
        problem = "0 found, but no mined row has a teacher's scores; mine with one (teach), or take a weight above 0"
        error = SettingError("contrastive_weight", problem)
        error.settings = teacher
        raise error
