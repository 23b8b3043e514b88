"""Training data of rerankers: binary, multi-level and distillation rows, read as one thing; sampled by query."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from tandem.formats.jsonl import InputError, explain, read_json_lines
from tandem.records import RankingRow
from tandem.text import normalize_query

__all__ = ["GradedQuery", "check_leakage", "label_documents", "read_ranking", "read_split", "sample_groups"]

GradedQuery = tuple[str, list[tuple[str, float]]]
"""A query and its documents, each with a label from 0 to 1, the highest first."""


def read_ranking(path: Path, *, min_label: float = 0.0, max_label: float = 1.0) -> tuple[list[GradedQuery], int]:
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


def read_split(train: Path, dev: Path, *, min_label: float, max_label: float) -> tuple[list[GradedQuery], list[GradedQuery], int]:
    """Training rows, dev rows, and how many documents stood on both sides of a training row.

    Args:
        train: JSONL of training rows.
        dev: JSONL of dev rows, whose labels lie between 0 and 1.
        min_label: of the training rows; becomes 0.
        max_label: of the training rows; becomes 1.

    Raises:
        InputError: a bad row, or a query that is in both files.
    """
    rows, conflicts = read_ranking(train, min_label=min_label, max_label=max_label)
    dev_rows, _ = read_ranking(dev)
    try:
        check_leakage(rows, dev_rows)
    except ValueError as error:
        raise InputError(f"{dev}: {error}; {train} holds the training queries") from None
    return rows, dev_rows, conflicts


def label_documents(row: RankingRow, *, min_label: float = 0.0, max_label: float = 1.0) -> GradedQuery:
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


def check_leakage(train: Iterable[GradedQuery], dev: Iterable[GradedQuery]) -> None:
    """Make sure that no query is trained on and measured on.

    Raises:
        ValueError: with the number of such queries and the first of them.
    """
    trained_on = {normalize_query(query) for query, _ in train}
    leaked = [query for query, _ in dev if normalize_query(query) in trained_on]
    if leaked:
        raise ValueError(f"{len(leaked)} dev queries are training queries too, the first: {leaked[0]!r:.80}; split by query")


def sample_groups(rows: Sequence[GradedQuery], *, groups: int, documents: int, seed: int) -> list[GradedQuery]:
    """Groups for a fixed number of steps: each pass over the queries is shuffled and sampled anew.

    A group is one document of the row's highest label and others drawn from the rest. Rows with equal labels throughout teach no order,
    and are used all the same: pointwise losses learn from them.

    Args:
        rows: queries with labelled documents.
        groups: how many to draw.
        documents: of a group, at most.
        seed: of all draws.

    Raises:
        ValueError: there is no row.
    """
    if not rows:
        raise ValueError("no row to train a reranker on")
    rng = random.Random(f"ranking groups:{seed}")
    drawn: list[GradedQuery] = []
    order: list[GradedQuery] = []
    while len(drawn) < groups:
        if not order:
            order = list(rows)
            rng.shuffle(order)
        query, labelled = order.pop()
        top = rng.choice([item for item in labelled if item[1] == labelled[0][1]])
        rest = [item for item in labelled if item is not top]
        drawn.append((query, [top, *rng.sample(rest, min(documents - 1, len(rest)))]))
    return drawn
