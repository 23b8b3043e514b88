"""What generated queries teach: one retriever for each generator, trained on equal numbers of its queries, measured on real ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.retriever import build_retriever, search
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.pairs import Measure
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import BothHeadsSettings, NeuralRetriever, train_retriever
from tandem.runtime.hardware import Compute
from tandem.settings import CountOrZero, Tokens, errors_about
from tandem.text import normalize_query

__all__ = ["TrialTrainingSettings", "train_on_generated"]


class TrialTrainingSettings(BothHeadsSettings):
    """Training of a retriever on equal numbers of each generator's queries."""

    queries: CountOrZero
    """of each generator, at most; 0 trains none"""
    training_document_tokens: Tokens | None
    """documents are cut here while a ColBERT trains"""


def train_on_generated(
    corpus: Sequence[Document],
    trials: Mapping[str, Sequence[PseudoQuery]],
    real_pairs: Sequence[LabelledPair],
    settings: TrialTrainingSettings,
    start: RetrieverSettings,
    *,
    measure: Measure,
    compute: Compute,
) -> dict[str, dict[str, float]]:
    """Train a retriever on equal numbers of each generator's queries, and measure it on real queries over the whole corpus.

    Nothing is filtered and no checkpoint is chosen: all that differs is who wrote the queries.

    Args:
        corpus: the documents.
        trials: queries by generator, for the same documents.
        real_pairs: labelled; none of them is trained on.
        settings: of the training; as many queries of each generator, drawn by seed.
        start: the untrained retriever.
        measure: values in the order of the query_ids.
        compute: device, precision, seed, and the folder of checkpoints, one inside it for each generator.

    Returns:
        Values by query_id, by generator; ``untrained`` is the retriever that all start from. Nothing where there is nothing to learn from
        or to measure on.
    """
    usable = {name: _distinct(rows) for name, rows in trials.items()}
    number = min([settings.queries, *map(len, usable.values())]) if usable else 0
    if not number or not real_pairs:
        return {}
    texts, queries = Corpus.of(corpus).texts, {pair.query_id: pair.text for pair in real_pairs}
    relevant, query_ids = [(pair.query_id, pair.doc_id) for pair in real_pairs], sorted(queries)

    def values_of(model: NeuralRetriever) -> dict[str, float]:
        return dict(zip(query_ids, measure(relevant, search(model, texts, queries, depth=10)), strict=True))

    values = {"untrained": values_of(build_retriever(start, seed=compute.seed, device=compute.device))}
    for name, rows in usable.items():
        drawn = random.Random(f"trial:{compute.seed}").sample(rows, number)
        model, rising = build_retriever(start, seed=compute.seed, device=compute.device), itertools.count()
        with errors_about(settings):
            train_retriever(
                model,
                TrainingData([(row.text, row.doc_id) for row in drawn], corpus),
                settings,
                evaluations=1,
                dev_score=lambda _, rising=rising: [float(next(rising))],  # type: ignore[misc]  # the last checkpoint is the best
                compute=replace(compute, scratch=compute.scratch / name),
                document_tokens=settings.training_document_tokens,
            )
        values[name] = values_of(model)
    return values


def _distinct(rows: Sequence[PseudoQuery]) -> list[PseudoQuery]:
    """Rows with a text, one of each (text, document)."""
    first: dict[tuple[str, str], PseudoQuery] = {}
    for row in rows:
        if row.text:
            first.setdefault((normalize_query(row.text), row.doc_id), row)
    return list(first.values())
