"""Training rows of a retriever: pairs in shuffled epochs, each with freshly sampled negatives, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tandem.formats.corpus import Corpus
from tandem.records import Document, RankingRow
from tandem.settings import SettingError
from tandem.text import normalize_query

__all__ = ["TrainingData", "TrainingSet", "build_training_set"]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a retriever is trained on.

    Args:
        pairs: (query text, doc_id).
        corpus: the documents; negatives are sampled from it.
        mined: hard negatives by doc_ids, and a teacher's logits, from :func:`tandem.retrievers.hard_negatives.mine_rows`.
        identical: doc_ids of the documents that a query text itself is, by :func:`tandem.text.normalize_query`; never its negatives.
    """

    pairs: Sequence[tuple[str, str]]
    corpus: Sequence[Document]
    mined: Sequence[RankingRow] = ()
    identical: Mapping[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Columns of rows (``query, positive, negative_1, ..., label``) and what is known to be relevant, for the loss.

    A label is the query's number and the group of each document; where a teacher is asked for, its logit of each document too, NaN where
    it gave none.
    """

    columns: dict[str, list[str] | list[list[float]]]
    relevant: dict[int, set[int]]
    epochs: float


def build_training_set(data: TrainingData, *, rows: int, negatives: int, with_teacher: bool = False, seed: int) -> TrainingSet:
    """Rows for a fixed number of optimiser steps.

    Every pass over the pairs is shuffled anew and samples its negatives anew, from the mined ones of its query first, and from the whole
    corpus where these do not suffice; a negative is never a document, or a near duplicate of one, that is known to be relevant to the
    query's text.

    Args:
        data: pairs, corpus and mined negatives.
        rows: how many rows to write: steps times batch size.
        negatives: sampled documents a row.
        with_teacher: write a teacher's logits, those of the mined rows, into the labels.
        seed: of shuffles and negatives.

    Raises:
        ValueError: there is no pair.
        SettingError: the corpus has fewer documents than ``negatives`` asks for.
    """
    if not data.pairs:
        raise ValueError("no pair to train on: neither labelled pairs nor pseudo queries were kept")
    corpus = Corpus.of(data.corpus)
    documents, groups = corpus.texts, corpus.groups
    doc_ids = list(documents)
    numbers, relevant = _number_queries(data, groups)
    mined = {normalize_query(row.query): row for row in data.mined}
    rng = random.Random(f"training:{seed}")
    columns: dict[str, list[str]] = {name: [] for name in ("query", "positive", *(f"negative_{i + 1}" for i in range(negatives)))}
    labels: list[list[float]] = []
    order: list[tuple[str, str]] = []
    while len(labels) < rows:
        if not order:
            order = list(data.pairs)
            rng.shuffle(order)
        text, doc_id = order.pop()
        number, mined_row = numbers[normalize_query(text)], mined.get(normalize_query(text))
        usable = [negative for negative in mined_row.neg if groups[negative] not in relevant[number]] if mined_row else []
        drawn = rng.sample(usable, min(negatives, len(usable)))
        drawn += _draw(doc_ids, groups, relevant[number] | {groups[negative] for negative in drawn}, negatives - len(drawn), rng)
        if len(drawn) < negatives:
            raise SettingError("negatives", f"{negatives} found, the corpus has not so many other documents; set fewer, or 0")
        row_ids = [doc_id, *drawn]
        for column, content in zip(columns.values(), (text, *(documents[i] for i in row_ids)), strict=True):
            column.append(content)
        logits = _teacher_scores(mined_row) if with_teacher else {}
        labels.append([number, *(groups[i] for i in row_ids), *(logits.get(i, float("nan")) for i in row_ids if with_teacher)])
    return TrainingSet({**columns, "label": labels}, relevant, rows / len(data.pairs))


def _number_queries(data: TrainingData, groups: Mapping[str, int]) -> tuple[dict[str, int], dict[int, set[int]]]:
    """A number for each query text, by its key, and the groups of the documents known to be relevant, by number."""
    numbers: dict[str, int] = {}
    relevant: dict[int, set[int]] = {}
    for text, doc_id in data.pairs:
        key = normalize_query(text)
        number = numbers.setdefault(key, len(numbers))
        relevant.setdefault(number, set()).update(groups[i] for i in (doc_id, *data.identical.get(key, ())))
    return numbers, relevant


def _teacher_scores(row: RankingRow | None) -> dict[str, float]:
    """A teacher's logits by doc_id; a document that stands on both sides counts as positive."""
    if row is None or row.pos_scores is None or row.neg_scores is None:
        return {}
    return dict(zip((*row.neg, *row.pos), (*row.neg_scores, *row.pos_scores), strict=True))


def _draw(doc_ids: Sequence[str], groups: Mapping[str, int], relevant: set[int], number: int, rng: random.Random) -> list[str]:
    """So many random documents of other groups than the relevant ones; fewer where hardly any are left."""
    drawn: list[str] = []
    for _ in range(100 * number):
        if len(drawn) == number:
            break
        candidate = rng.choice(doc_ids)
        if groups[candidate] not in relevant and candidate not in drawn:
            drawn.append(candidate)
    return drawn
