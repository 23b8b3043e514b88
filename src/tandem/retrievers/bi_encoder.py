"""Fine-tune a dense bi-encoder on labelled pairs: the paper's pretrained DPR, which filters every round's queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.formats.texts import texts_of
from tandem.records import Document, LabelledPair
from tandem.retrievers.dense import load_dense, save_dense, search
from tandem.retrievers.selection import choose_dev, identical_documents
from tandem.retrievers.training import train_retriever
from tandem.runtime.training import Trained

__all__ = ["train_bi_encoder"]


def train_bi_encoder(
    documents: Sequence[Document],
    labelled: Sequence[LabelledPair],
    labelled_dev: Sequence[LabelledPair],
    folder: Path,
    *,
    encoder: str,
    layers: int | None,
    max_length: int,
    prompts: Mapping[str, str] | None = None,
    measure: Callable[[Sequence[tuple[str, str]], Any], Sequence[float]],
    dev_documents: int,
    device: str,
    seed: int,
    **settings: Any,
) -> Trained:
    """Train on the labelled pairs (with none it stays zero-shot) and write the model.

    Args:
        documents: the corpus.
        labelled: training pairs.
        labelled_dev: they choose the checkpoint.
        folder: to write the model into.
        encoder: see :func:`tandem.retrievers.dense.load_dense`, as for ``layers`` and ``max_length``.
        layers: kept of the encoder; None keeps all.
        max_length: of a text.
        prompts: of ``query`` and ``document``; None keeps the model's own.
        measure: relevant (query_id, doc_id) pairs and a run to a value for each query.
        dev_documents: see :func:`choose_dev`.
        device: to train on.
        seed: of everything random.
        settings: of :func:`tandem.retrievers.training.train_retriever`.

    Returns:
        What training did.
    """
    texts = texts_of(documents)
    dev = choose_dev(labelled_dev, [], texts, dev_documents=dev_documents, seed=seed)
    shape: dict[str, Any] = {"layers": layers, "max_length": max_length, "prompts": prompts}
    model = load_dense(encoder, **shape, keys="train_filter_encoder.", device=device)
    trained = train_retriever(
        model,
        [(pair.text, pair.doc_id) for pair in labelled],
        documents,
        identical=identical_documents(labelled, texts),
        dev_score=lambda model: measure(dev.pairs, search(model, dev.documents, dev.queries, depth=10)),
        seed=seed,
        **settings,
    )
    save_dense(model, folder)
    return trained
