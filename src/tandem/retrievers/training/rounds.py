"""Train the retriever of one round, from the one that every round starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, PseudoQuery, RankingRow
from tandem.retrievers.retriever import build_retriever, save_retriever, search
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.losses import DistillationSettings
from tandem.retrievers.training.pairs import Measure, PairSettings, choose_dev, choose_pairs, identical_documents
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import ContrastiveSettings, train_retriever
from tandem.runtime.hardware import Compute
from tandem.runtime.training import Trained
from tandem.settings import CountOrZero, Steps, Tokens, errors_about

__all__ = ["RoundData", "RoundSettings", "train_round"]


class RoundSettings(ContrastiveSettings, PairSettings):
    """Training of a round's retriever."""

    evaluations: Steps
    """dev scores, evenly spaced; the last checkpoint stays unless it is a standard error worse than the best"""
    training_document_tokens: Tokens | None
    """documents are cut here while a ColBERT trains; search uses retriever.document_tokens"""
    dev_documents: CountOrZero
    """random documents that dev queries are searched among, beside the relevant ones"""
    distillation: DistillationSettings


@dataclass(frozen=True, slots=True)
class RoundData:
    """What a round's retriever is trained on.

    Args:
        corpus: the documents.
        labelled_pairs: training pairs.
        dev_pairs: labelled; they choose the checkpoint, and where there are none, held-out kept queries do.
        generated: rows of the rounds whose kept queries are trained on.
        mined: hard negatives of the queries, by doc_ids.
    """

    corpus: Sequence[Document]
    labelled_pairs: Sequence[LabelledPair]
    dev_pairs: Sequence[LabelledPair]
    generated: Sequence[Sequence[PseudoQuery]]
    mined: Sequence[RankingRow] = ()


def train_round(
    data: RoundData, folder: Path, settings: RoundSettings, start: RetrieverSettings, *, measure: Measure, compute: Compute
) -> tuple[Trained, dict[str, int]]:
    """Train a retriever on labelled pairs and kept queries, and write its weights.

    Args:
        data: pairs, queries and corpus.
        folder: to write the weights into.
        settings: of the training.
        start: the untrained retriever; every round starts there, not from the round before.
        measure: of the dev score.
        compute: device, precision, seed, and the folder of checkpoints.

    Returns:
        What training did, and the numbers of training pairs and dev queries.
    """
    texts = Corpus.of(data.corpus).texts
    held_out = 0 if data.dev_pairs else settings.dev_pseudo_queries
    pairs, held_out_rows = choose_pairs(data.labelled_pairs, data.generated, settings, held_out=held_out, seed=compute.seed)
    dev = choose_dev(data.dev_pairs, held_out_rows, texts, dev_documents=settings.dev_documents, seed=compute.seed)
    model = build_retriever(start, seed=compute.seed, device=compute.device)
    with errors_about(settings):
        trained = train_retriever(
            model,
            TrainingData(pairs, data.corpus, data.mined, identical_documents(data.labelled_pairs, texts)),
            settings,
            evaluations=settings.evaluations,
            dev_score=lambda model: measure(dev.pairs, search(model, dev.documents, dev.queries, depth=10)),
            compute=compute,
            document_tokens=settings.training_document_tokens,
            teacher=settings.distillation,
        )
    save_retriever(model, folder)
    return trained, {"training_pairs": len(pairs), "dev_queries": len(dev.queries)}
