"""Training rows of a retriever: pairs in shuffled epochs, each with freshly sampled negatives, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.records import RankingRow
from tandem.text import normalize_query

__all__ = ["TrainingSet", "build_training_set"]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Columns of rows (``query, positive, negative_1, ..., label``) and what is known to be relevant, for the loss.

    A label is the query's number and the group of each document; where a teacher is asked for, its logit of each document too, NaN where
    it gave none.
    """

    columns: dict[str, list[str] | list[list[float]]]
    relevant: dict[int, set[int]]
    epochs: float


def build_training_set(
    pairs: Sequence[tuple[str, str]],
    documents: Mapping[str, str],
    groups: Mapping[str, int],
    *,
    rows: int,
    negatives: int,
    mined: Sequence[RankingRow] = (),
    taught: bool = False,
    identical: Mapping[str, set[str]] | None = None,
    seed: int,
) -> TrainingSet:
    """Rows for a fixed number of optimiser steps.

    Every pass over the pairs is shuffled anew and samples its negatives anew, from the mined ones of its query first, and from the whole
    corpus where these do not suffice; a negative is never a document, or a near duplicate of one, that is known to be relevant to the
    query's text.

    Args:
        pairs: (query text, doc_id).
        documents: text by doc_id.
        groups: from :func:`tandem.records.group_numbers`.
        rows: how many rows to write: steps times batch size.
        negatives: sampled documents a row.
        mined: by doc_ids, from :func:`tandem.retrievers.hard_negatives.mine_rows`.
        taught: write a teacher's logits, those of ``mined``, into the labels.
        identical: doc_ids of the documents that a query text itself is, by :func:`tandem.text.normalize_query`; never its negatives.
        seed: of shuffles and negatives.
    """
    if not pairs:
        raise ValueError("no pair to train on: neither labelled pairs nor pseudo queries were kept")
    numbers: dict[str, int] = {}
    relevant: dict[int, set[int]] = {}
    for text, doc_id in pairs:
        number = numbers.setdefault(normalize_query(text), len(numbers))
        relevant.setdefault(number, set()).add(groups[doc_id])
        relevant[number] |= {groups[doc_id] for doc_id in (identical or {}).get(normalize_query(text), ())}
    pools = {normalize_query(row.query): row for row in mined}
    rng = random.Random(f"training:{seed}")
    doc_ids = list(documents)
    columns: dict[str, list[str]] = {name: [] for name in ("query", "positive")}
    columns |= {f"negative_{i + 1}": [] for i in range(negatives)}
    labels: list[list[float]] = []
    order: list[tuple[str, str]] = []
    while len(labels) < rows:
        if not order:
            order = list(pairs)
            rng.shuffle(order)
        text, doc_id = order.pop()
        number, pool = numbers[normalize_query(text)], pools.get(normalize_query(text))
        usable = [own for own in pool.neg if groups[own] not in relevant[number]] if pool else []
        drawn = rng.sample(usable, min(negatives, len(usable)))
        drawn += _draw(doc_ids, groups, relevant[number] | {groups[own] for own in drawn}, negatives - len(drawn), rng)
        columns["query"].append(text)
        columns["positive"].append(documents[doc_id])
        for i, negative in enumerate(drawn):
            columns[f"negative_{i + 1}"].append(documents[negative])
        own = [doc_id, *drawn]
        logits = _teacher_scores(pool) if taught else {}
        labels.append([number, *(groups[i] for i in own), *(logits.get(i, float("nan")) for i in own if taught)])
    return TrainingSet({**columns, "label": labels}, relevant, rows / len(pairs))


def _teacher_scores(pool: RankingRow | None) -> dict[str, float]:
    if pool is None or pool.pos_scores is None or pool.neg_scores is None:
        return {}
    return dict(zip((*pool.neg, *pool.pos), (*pool.neg_scores, *pool.pos_scores), strict=True))


def _draw(doc_ids: Sequence[str], groups: Mapping[str, int], relevant: set[int], number: int, rng: random.Random) -> list[str]:
    drawn: list[str] = []
    for _ in range(100 * number):
        if len(drawn) == number:
            break
        candidate = rng.choice(doc_ids)
        if groups[candidate] not in relevant and candidate not in drawn:
            drawn.append(candidate)
    if len(drawn) < number:
        raise ValueError(f"train_retriever.negatives: {number} wanted, the corpus has not so many other documents; set fewer, or 0")
    return drawn
