"""Training data of rerankers: binary, multi-level and distillation rows, read as one thing; sampled by query, split by query."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from tandem.formats.jsonl import InputError, explain, read_json_lines
from tandem.records import LabelledPair, RankingRow
from tandem.text import normalize_query

__all__ = [
    "Labelled",
    "build_rows",
    "check_leakage",
    "label_documents",
    "queries_of",
    "read_ranking",
    "read_split",
    "relevant_of",
    "sample_groups",
    "split_by_query",
]

Labelled = tuple[str, list[tuple[str, float]]]
"""A query and its documents, each with a label from 0 to 1, the highest first."""


def read_ranking(path: Path, *, min_label: float = 0.0, max_label: float = 1.0) -> tuple[list[Labelled], int]:
    """Read rows of ``{query, pos, neg, pos_scores, neg_scores}``, validated line by line.

    Args:
        path: JSONL.
        min_label: becomes 0.
        max_label: becomes 1.

    Returns:
        The rows, and how many documents stood in both ``pos`` and ``neg`` of a row (they count as positive).

    Raises:
        InputError: with file and line, on a bad row or a label out of range.
    """
    rows, conflicts = [], 0
    for number, raw in read_json_lines(path):
        try:
            row = RankingRow.model_validate(raw)
            conflicts += len(set(row.pos) & set(row.neg))
            rows.append(label_documents(row, min_label=min_label, max_label=max_label))
        except ValidationError as error:
            raise InputError(f"{path}:{number}: {explain(error)}") from None
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return rows, conflicts


def read_split(train: Path, dev: Path, **labels: float) -> tuple[list[Labelled], list[Labelled], int]:
    """Training rows, dev rows and the conflicts in the former; ``labels`` are those of :func:`read_ranking`, for the training rows.

    Raises:
        InputError: a bad row, or a query that is in both files.
    """
    rows, conflicts = read_ranking(train, **labels)
    dev_rows, _ = read_ranking(dev)
    try:
        check_leakage(rows, dev_rows)
    except ValueError as error:
        raise InputError(f"{dev}: {error}; {train} holds the training queries") from None
    return rows, dev_rows, conflicts


def label_documents(row: RankingRow, *, min_label: float = 0.0, max_label: float = 1.0) -> Labelled:
    """A row's documents with labels ``(score - minimum) / (maximum - minimum)``; without scores a positive is 1, a negative 0.

    Raises:
        ValueError: the range is empty, or a score is outside it.
    """
    if not max_label > min_label:
        raise ValueError(f"max_label: {max_label} found, more than min_label {min_label} is needed")
    labels: dict[str, float] = {}
    for documents, scores, default in ((row.neg, row.neg_scores, 0.0), (row.pos, row.pos_scores, 1.0)):
        for i, document in enumerate(documents):
            score = None if scores is None else scores[i]
            if score is not None and not min_label <= score <= max_label:
                raise ValueError(f"label {score} found, {min_label} to {max_label} allowed (min_label, max_label)")
            labels[document] = default if score is None else (score - min_label) / (max_label - min_label)
    return row.query, sorted(labels.items(), key=lambda item: -item[1])


def queries_of(pairs: Iterable[LabelledPair]) -> dict[str, str]:
    """Query text by query_id."""
    return {pair.query_id: pair.text for pair in pairs}


def relevant_of(pairs: Iterable[LabelledPair]) -> dict[str, set[str]]:
    """The doc_ids judged relevant, by query_id."""
    relevant: dict[str, set[str]] = {}
    for pair in pairs:
        relevant.setdefault(pair.query_id, set()).add(pair.doc_id)
    return relevant


def build_rows(pairs: Sequence[LabelledPair], negatives: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> list[RankingRow]:
    """One row a query: its relevant documents and its negatives, by their texts; empty texts are left out.

    Args:
        pairs: labelled.
        negatives: doc_ids by query_id.
        texts: by doc_id.
    """
    queries = queries_of(pairs)
    rows = []
    for query_id, relevant in relevant_of(pairs).items():
        pos = list(dict.fromkeys(text for doc_id in sorted(relevant) if (text := texts[doc_id])))
        neg = list(dict.fromkeys(text for doc_id in negatives.get(query_id, ()) if (text := texts[doc_id]) and text not in pos))
        if pos:
            rows.append(RankingRow(query=queries[query_id], pos=pos, neg=neg))
    return rows


def split_by_query(rows: Sequence[Labelled], *, share: float, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Train and dev rows; rows of equal queries fall on the same side.

    Args:
        rows: any.
        share: of the queries, for dev.
        seed: of the draw.
    """
    names = sorted({normalize_query(query) for query, _ in rows})
    random.Random(f"ranking split:{seed}").shuffle(names)
    held_out = set(names[: round(share * len(names))])
    return [row for row in rows if normalize_query(row[0]) not in held_out], [row for row in rows if normalize_query(row[0]) in held_out]


def check_leakage(train: Iterable[Labelled], dev: Iterable[Labelled]) -> None:
    """Make sure that no query is trained on and measured on.

    Raises:
        ValueError: with the number of such queries and the first of them.
    """
    seen = {normalize_query(query) for query, _ in train}
    both = [query for query, _ in dev if normalize_query(query) in seen]
    if both:
        raise ValueError(f"{len(both)} dev queries are training queries too, the first: {both[0]!r:.80}; split by query")


def sample_groups(rows: Sequence[Labelled], *, groups: int, documents: int, seed: int) -> list[Labelled]:
    """Groups for a fixed number of steps: each pass over the queries is shuffled and sampled anew.

    A group is one document of the row's highest label and others drawn from the rest. Rows with equal labels throughout teach no order,
    and are used all the same: pointwise losses learn from them.

    Args:
        rows: labelled.
        groups: how many to make.
        documents: of a group, at most.
        seed: of all draws.

    Raises:
        ValueError: there is no row.
    """
    if not rows:
        raise ValueError("no row to train a reranker on")
    rng = random.Random(f"ranking groups:{seed}")
    made: list[Labelled] = []
    order: list[Labelled] = []
    while len(made) < groups:
        if not order:
            order = list(rows)
            rng.shuffle(order)
        query, labelled = order.pop()
        top = rng.choice([item for item in labelled if item[1] == labelled[0][1]])
        rest = [item for item in labelled if item is not top]
        made.append((query, [top, *rng.sample(rest, min(documents - 1, len(rest)))]))
    return made
