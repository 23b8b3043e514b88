"""Round-trip filtering: a query stays if its source document is among the first k of a run.

One function over any run (BM25, dense, ColBERT, a candidate set). ``rank(q, d) = 1 + #{c != d : s(q, c) >= s(q, d)}``: ties count
against the source document, its near duplicates do not compete. Rows are never deleted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ir_measures import ScoredDoc

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.text import count_words, normalize_query

__all__ = ["Search", "apply_rule", "apply_shape_rule", "document_ranks", "funnel", "ranks_of_pairs"]

Search = Callable[[Mapping[str, str]], Sequence[ScoredDoc]]


def document_ranks(targets: Mapping[str, str], run: Sequence[ScoredDoc], groups: Mapping[str, int]) -> dict[str, tuple[int, float]]:
    """The pessimistic rank and the score of each query's source document in a run.

    Args:
        targets: doc_id by query_id.
        run: to a depth beyond the k that is asked of it.
        groups: a number for each document, shared by near duplicates.

    Returns:
        (rank from 1, score) by query_id, for the queries whose document the run holds.
    """
    results: dict[str, list[ScoredDoc]] = {query_id: [] for query_id in targets}
    for item in run:
        if item.query_id in results:
            results[item.query_id].append(item)
    ranks = {}
    for query_id, doc_id in targets.items():
        score = next((item.score for item in results[query_id] if item.doc_id == doc_id), None)
        if score is None or math.isnan(score):  # a score that is none is no result
            continue
        competitors = (item for item in results[query_id] if groups[item.doc_id] != groups[doc_id])
        ranks[query_id] = 1 + sum(item.score >= score for item in competitors), score
    return ranks


def ranks_of_pairs(corpus: Sequence[Document], pairs: Sequence[LabelledPair | PseudoQuery], search: Search) -> dict[str, int]:
    """The rank of a query's document by query_id, of the best where it has several, for the queries that the search finds one of.

    Args:
        corpus: the documents.
        pairs: queries with their source or relevant documents.
        search: queries, text by query_id, to a run over the corpus.
    """
    results: dict[str, list[ScoredDoc]] = {}
    for item in search({pair.query_id: pair.text for pair in pairs}):
        results.setdefault(item.query_id, []).append(item)
    groups, best = Corpus.of(corpus).groups, dict[str, int]()
    for pair in pairs:
        found = document_ranks({pair.query_id: pair.doc_id}, results.get(pair.query_id, []), groups)
        best |= {query_id: min(rank, best.get(query_id, rank)) for query_id, (rank, _) in found.items()}
    return best


def apply_rule(rows: Sequence[PseudoQuery], ranks: Mapping[str, tuple[int, float]], *, name: str, k: int) -> list[PseudoQuery]:
    """Write a run's ranks and scores into the rows, and reject those that are not rejected yet and fall beyond k.

    Args:
        rows: with any status; a rejected row stays rejected, with its first reason, and still gets its rank.
        ranks: from :func:`document_ranks`.
        name: of the run; the key of the rank and the reason of a rejection.
        k: the last rank that stays.
    """
    marked = []
    for row in rows:
        found = ranks.get(row.query_id)
        update: dict[str, object] = {}
        if found:
            update = {"ranks": {**row.ranks, name: found[0]}, "scores": {**row.scores, name: found[1]}}
        if row.status != "rejected":
            kept = found is not None and found[0] <= k
            update |= {"status": "kept"} if kept else {"status": "rejected", "reason": name}
        marked.append(row.model_copy(update=update))
    return marked


def apply_shape_rule(rows: Sequence[PseudoQuery], *, min_words: int, max_words: int) -> list[PseudoQuery]:
    """Reject queries with fewer or more words than allowed, and repetitions of a query of the same document."""
    seen: set[tuple[str, str]] = set()
    marked = []
    for row in rows:
        key = (row.doc_id, normalize_query(row.text))
        reason = "length" if not min_words <= count_words(row.text) <= max_words else "duplicate" if key in seen else ""
        seen.add(key)
        if reason and row.status != "rejected":
            row = row.model_copy(update={"status": "rejected", "reason": reason})
        marked.append(row)
    return marked


def funnel(rows: Sequence[PseudoQuery], order: Sequence[str]) -> list[dict[str, str | int]]:
    """How many rows were left after each filter, in the order of the filters, the generated ones first."""
    reasons = Counter(row.reason for row in rows if row.status == "rejected")
    left = len(rows)
    steps: list[dict[str, str | int]] = [{"filter": "generated", "left": left}]
    for name in order:
        left -= reasons[name]
        steps.append({"filter": name, "left": left})
    return steps
