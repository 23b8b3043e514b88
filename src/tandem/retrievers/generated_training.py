"""What generated queries teach: one retriever for each generator, trained on equal numbers of its queries, measured on real ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ir_measures import ScoredDoc

from tandem.formats.texts import texts_of
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.retriever import build_retriever, search
from tandem.retrievers.training import train_retriever
from tandem.text import normalize_query

__all__ = ["train_on_generated"]

Measure = Callable[[Sequence[tuple[str, str]], Sequence[ScoredDoc]], Sequence[float]]


def train_on_generated(
    documents: Sequence[Document],
    trials: Mapping[str, Sequence[PseudoQuery]],
    real: Sequence[LabelledPair],
    *,
    initial: Mapping[str, Any],
    measure: Measure,
    queries: int,
    scratch: Path,
    device: str,
    seed: int,
    **settings: Any,
) -> dict[str, dict[str, float]]:
    """Train the initial retriever on equal numbers of each generator's queries, and measure it on real queries over the whole corpus.

    Nothing is filtered and no checkpoint is chosen: all that differs is who wrote the queries.

    Args:
        documents: the corpus.
        trials: queries by generator, for the same documents.
        real: labelled pairs; none of them is trained on.
        initial: arguments of :func:`tandem.retrievers.retriever.build_retriever`.
        measure: relevant (query_id, doc_id) pairs and a run to a value for each query, in the order of their ids.
        queries: of each generator, at most; as many of each, drawn by seed.
        scratch: checkpoints live here, a folder for each generator.
        device: to train on.
        seed: of everything random.
        settings: of :func:`tandem.retrievers.training.train_retriever`.

    Returns:
        Values by query_id, by generator; ``untrained`` is the initial retriever. Nothing where there is nothing to learn from or measure.
    """
    usable = {name: _distinct(rows) for name, rows in trials.items()}
    number = min([queries, *map(len, usable.values())]) if usable else 0
    if not number or not real:
        return {}
    texts, asked = texts_of(documents), {pair.query_id: pair.text for pair in real}
    relevant, names = [(pair.query_id, pair.doc_id) for pair in real], sorted(asked)

    def measured(model: Any) -> dict[str, float]:
        return dict(zip(names, measure(relevant, search(model, texts, asked, depth=10)), strict=True))

    values = {"untrained": measured(build_retriever(**initial, seed=seed, device=device))}
    for name, rows in usable.items():
        drawn = random.Random(f"trial:{seed}").sample(rows, number)
        model, last = build_retriever(**initial, seed=seed, device=device), itertools.count()
        train_retriever(
            model,
            [(row.text, row.doc_id) for row in drawn],
            documents,
            dev_score=lambda _, last=last: [float(next(last))],  # type: ignore[misc]  # the last checkpoint is the best
            evaluations=1,
            scratch=scratch / name,
            seed=seed,
            **settings,
        )
        values[name] = measured(model)
    return values


def _distinct(rows: Sequence[PseudoQuery]) -> list[PseudoQuery]:
    """Rows with a text, one of each (text, document)."""
    first: dict[tuple[str, str], PseudoQuery] = {}
    for row in rows:
        if row.text:
            first.setdefault((normalize_query(row.text), row.doc_id), row)
    return list(first.values())
