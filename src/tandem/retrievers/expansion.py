"""Documents with the queries that were generated for them and that the filters kept: doc2query--, for BM25.

Nogueira et al. 2019 append generated queries to the documents that they were written for; Gospodinov et al. 2023 (doc2query--) leave out
those that a filter finds irrelevant, which makes the index smaller and better.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tandem.records import LabelledPair, PseudoQuery
from tandem.settings import CountOrZero, Settings
from tandem.text import normalize_query

__all__ = ["ExpansionSettings", "expand_documents"]

SELECTION = "selection"  # the reason of rows that the filters kept and that are not trained on


class ExpansionSettings(Settings):
    """How much is appended to a document."""

    queries_per_document: CountOrZero
    """kept queries of a document, at most, drawn by seed; 0 appends none"""


def expand_documents(
    texts: Mapping[str, str],
    generated: Sequence[Sequence[PseudoQuery]],
    dev: Sequence[LabelledPair],
    settings: ExpansionSettings,
    *,
    seed: int,
) -> tuple[dict[str, str], dict[str, int]]:
    """Append to each document its kept queries, each text once; a document without any stays as it is.

    What is a dev query too, of whatever document, is appended to none: dev queries would find what they themselves have written.

    Args:
        texts: of the corpus by doc_id.
        generated: rows of each round, filtered; those that were kept are appended, whether or not they were selected for training.
        dev: pairs that choose weights and champions.
        settings: how many of them.
        seed: of the draws, which depend on it and on the document's id alone.

    Returns:
        Text by doc_id, in order, and counts: ``appended`` queries, ``expanded`` documents, ``dev_queries`` that were left out.
    """
    left_out = {normalize_query(pair.text) for pair in dev}
    by_document: dict[str, dict[str, str]] = {}
    for row in (row for rows in generated for row in rows if row.status == "kept" or row.reason == SELECTION):
        by_document.setdefault(row.doc_id, {}).setdefault(normalize_query(row.text), row.text)
    counts = {"appended": 0, "expanded": 0, "dev_queries": 0}
    expanded = {}
    for doc_id, text in texts.items():
        queries = by_document.get(doc_id, {})
        allowed = [query for key, query in queries.items() if key not in left_out]
        size = min(settings.queries_per_document, len(allowed))
        drawn = random.Random(f"expansion:{seed}:{doc_id}").sample(allowed, size)
        expanded[doc_id] = "\n".join([text, *drawn])
        counts["appended"] += size
        counts["expanded"] += size > 0
        counts["dev_queries"] += len(queries) - len(allowed)
    return expanded, counts
