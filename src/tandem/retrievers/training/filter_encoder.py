"""Train the dense bi-encoder that filters every round's queries, the paper's pretrained DPR, on labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair
from tandem.retrievers.dense import load_dense, save_dense, search
from tandem.retrievers.prompts import Prompts
from tandem.retrievers.training.pairs import Measure, choose_dev, identical_documents
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import ContrastiveSettings, train_retriever
from tandem.runtime.hardware import Compute
from tandem.runtime.training import Trained
from tandem.settings import CountOrZero, Layers, Steps, Tokens, errors_about

__all__ = ["FilterEncoderSettings", "train_filter_encoder"]


class FilterEncoderSettings(ContrastiveSettings):
    """The dense bi-encoder of the filter, and its training."""

    encoder: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: Layers | None
    """keep the encoder's first layers only; null keeps all"""
    max_length: Tokens
    """texts are cut here"""
    prompts: Prompts | None
    """before every query and document; null keeps the encoder's"""
    evaluations: Steps
    """dev scores, evenly spaced"""
    dev_documents: CountOrZero
    """random documents that dev queries are searched among, beside the relevant ones"""


def train_filter_encoder(
    corpus: Sequence[Document],
    labelled_pairs: Sequence[LabelledPair],
    dev_pairs: Sequence[LabelledPair],
    folder: Path,
    settings: FilterEncoderSettings,
    *,
    measure: Measure,
    compute: Compute,
) -> Trained:
    """Train on the labelled pairs (with none the encoder stays zero-shot) and write the model.

    Args:
        corpus: the documents.
        labelled_pairs: training pairs.
        dev_pairs: they choose the checkpoint.
        folder: to write the model into.
        settings: of the encoder and its training.
        measure: of the dev score.
        compute: device, precision, seed, and the folder of checkpoints.

    Returns:
        What training did.
    """
    texts = Corpus.of(corpus).texts
    dev = choose_dev(dev_pairs, [], texts, dev_documents=settings.dev_documents, seed=compute.seed)
    with errors_about(settings):
        model = load_dense(
            settings.encoder, layers=settings.layers, max_length=settings.max_length, prompts=settings.prompts, device=compute.device
        )
        trained = train_retriever(
            model,
            TrainingData(
                [(pair.text, pair.doc_id) for pair in labelled_pairs], corpus, identical=identical_documents(labelled_pairs, texts)
            ),
            settings,
            evaluations=settings.evaluations,
            dev_score=lambda model: measure(dev.pairs, search(model, dev.documents, dev.queries, depth=10)),
            compute=compute,
        )
    save_dense(model, folder)
    return trained
