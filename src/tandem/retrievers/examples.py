"""Training rows of a retriever: pairs in shuffled epochs, each with freshly sampled negatives, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["TrainingSet", "build_training_set"]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Columns of rows (``query, positive, negative_1, ..., label``) and what is known to be relevant, for the loss."""

    columns: dict[str, list[str] | list[list[int]]]
    relevant: dict[int, set[int]]
    epochs: float


def build_training_set(
    pairs: Sequence[tuple[str, str]],
    documents: Mapping[str, str],
    groups: Mapping[str, int],
    *,
    rows: int,
    negatives: int,
    seed: int,
) -> TrainingSet:
    """Rows for a fixed number of optimiser steps.

    Every pass over the pairs is shuffled anew and samples its negatives anew; a negative is never a document, or a near duplicate
    of one, that is known to be relevant to the query's text.

    Args:
        pairs: (query text, doc_id).
        documents: text by doc_id.
        groups: from :func:`tandem.records.group_numbers`.
        rows: how many rows to write: steps times batch size.
        negatives: sampled documents a row.
        seed: of shuffles and negatives.
    """
    if not pairs:
        raise ValueError("no pair to train on: neither labelled pairs nor pseudo queries were kept")
    numbers: dict[str, int] = {}
    relevant: dict[int, set[int]] = {}
    for text, doc_id in pairs:
        number = numbers.setdefault(" ".join(text.lower().split()), len(numbers))
        relevant.setdefault(number, set()).add(groups[doc_id])
    rng = random.Random(f"training:{seed}")
    doc_ids = list(documents)
    columns: dict[str, list[str]] = {name: [] for name in ("query", "positive")}
    columns |= {f"negative_{i + 1}": [] for i in range(negatives)}
    labels: list[list[int]] = []
    order: list[tuple[str, str]] = []
    while len(labels) < rows:
        if not order:
            order = list(pairs)
            rng.shuffle(order)
        text, doc_id = order.pop()
        number = numbers[" ".join(text.lower().split())]
        drawn = _draw(doc_ids, groups, relevant[number], negatives, rng)
        columns["query"].append(text)
        columns["positive"].append(documents[doc_id])
        for i, negative in enumerate(drawn):
            columns[f"negative_{i + 1}"].append(documents[negative])
        labels.append([number, groups[doc_id], *(groups[negative] for negative in drawn)])
    return TrainingSet({**columns, "label": labels}, relevant, rows / len(pairs))


def _draw(doc_ids: Sequence[str], groups: Mapping[str, int], relevant: set[int], number: int, rng: random.Random) -> list[str]:
    drawn: list[str] = []
    for _ in range(100 * number):
        if len(drawn) == number:
            break
        candidate = rng.choice(doc_ids)
        if groups[candidate] not in relevant and candidate not in drawn:
            drawn.append(candidate)
    if len(drawn) < number:
        raise ValueError(f"train_retriever.negatives: {number} wanted, the corpus has not so many other documents")
    return drawn
