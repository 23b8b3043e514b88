"""Train the retriever of one round: what it learns from, what chooses its checkpoint, and where it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.formats.texts import texts_of
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.retriever import build_retriever, save_retriever, search
from tandem.retrievers.selection import choose_dev, choose_pairs, identical_documents
from tandem.retrievers.training import train_retriever
from tandem.runtime.training import Trained

__all__ = ["train_round"]

Measure = Callable[[Sequence[tuple[str, str]], Any], Sequence[float]]


def train_round(
    documents: Sequence[Document],
    labelled: Sequence[LabelledPair],
    labelled_dev: Sequence[LabelledPair],
    generated: Sequence[Sequence[PseudoQuery]],
    folder: Path,
    *,
    initial: Mapping[str, Any],
    measure: Measure,
    queries_per_document: int,
    labelled_copies: int,
    dev_documents: int,
    dev_pseudo_queries: int,
    device: str,
    seed: int,
    **settings: Any,
) -> tuple[Trained, dict[str, int]]:
    """Train a retriever from the initial one on labelled pairs and kept queries, and write its weights.

    Args:
        documents: the corpus.
        labelled: training pairs.
        labelled_dev: they choose the checkpoint; where there are none, held-out kept queries do.
        generated: rows of the rounds whose kept queries are trained on.
        folder: to write the weights into.
        initial: arguments of :func:`tandem.retrievers.retriever.build_retriever`; every round starts there, not from the round before.
        measure: relevant (query_id, doc_id) pairs and a run to a value for each query.
        queries_per_document: see :func:`choose_pairs`.
        labelled_copies: see :func:`choose_pairs`.
        dev_documents: see :func:`choose_dev`.
        dev_pseudo_queries: held out where there is no labelled dev pair.
        device: to train on.
        seed: of everything random.
        settings: of :func:`tandem.retrievers.training.train_retriever`.

    Returns:
        What training did, and the numbers of training pairs and dev queries.
    """
    pairs, held_out = choose_pairs(
        labelled,
        generated,
        held_out=0 if labelled_dev else dev_pseudo_queries,
        queries_per_document=queries_per_document,
        labelled_copies=labelled_copies,
        seed=seed,
    )
    texts = texts_of(documents)
    dev = choose_dev(labelled_dev, held_out, texts, dev_documents=dev_documents, seed=seed)
    model = build_retriever(**initial, seed=seed, device=device)
    trained = train_retriever(
        model,
        pairs,
        documents,
        identical=identical_documents(labelled, texts),
        dev_score=lambda model: measure(dev.pairs, search(model, dev.documents, dev.queries, depth=10)),
        seed=seed,
        **settings,
    )
    save_retriever(model, folder)
    return trained, {"training_pairs": len(pairs), "dev_queries": len(dev.queries)}
