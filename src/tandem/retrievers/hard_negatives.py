"""Hard negatives from any run: a window of ranks, a margin under the positive, and screens against documents that may be relevant."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Self

from ir_measures import ScoredDoc
from pydantic import model_validator

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, PseudoQuery, RankingRow
from tandem.retrievers.training.pairs import identical_documents
from tandem.runs import name_texts, rank_results
from tandem.settings import CountOrZero, Depth, PositiveShare, Settings
from tandem.text import normalize_query

__all__ = ["MiningSettings", "WindowSettings", "mine_negatives", "mine_rows"]

Scorer = Callable[[Sequence[tuple[str, str]]], list[float]]  # (query_id, doc_id) pairs to scores
Search = Callable[[Mapping[str, tuple[str, str]]], Sequence[ScoredDoc]]  # (text, doc_id) by query_id to a run


class WindowSettings(Settings):
    """Which documents of a run may be hard negatives."""

    rank_start: Depth
    """the first rank of the window; what stands above is suspected to be relevant"""
    rank_end: Depth
    """the last rank of the window; the query's documents are not counted"""
    negatives_per_query: CountOrZero
    """negatives a query, at most"""
    relative_margin: PositiveShare | None
    """a negative scores at most this share of the query's document (NV-Retriever's rule, .95, Moreira et al. 2024); null asks nothing"""

    @model_validator(mode="after")
    def _start_before_end(self) -> Self:
        if self.rank_start > self.rank_end:
            window = f"a window from rank {self.rank_start} to {self.rank_end} is none"
            raise ValueError(f"rank_start: {self.rank_start} found, at most rank_end, {self.rank_end}, is allowed: {window}")
        return self


class MiningSettings(WindowSettings):
    """Where hard negatives come from, and what is left out; training draws from them anew in every pass."""

    run: Literal["off", "bm25", "dense", "retriever"]
    """dense: the filter's encoder; retriever: what every round starts from; off writes no negatives"""
    screen: bool
    """leave out what the judge of relevance puts above the query's document"""
    teach: bool
    """write the judge's logits, which train_retriever.distillation learns from"""


def mine_rows(
    pairs: Sequence[LabelledPair | PseudoQuery],
    documents: Sequence[Document],
    search: Search,
    settings: MiningSettings,
    *,
    judge: Callable[[], Scorer | None],
    seed: int,
) -> tuple[list[RankingRow], dict[str, int]]:
    """The negatives of each query text that is trained on, by their doc_ids, with a teacher's scores where they are asked for.

    Args:
        pairs: queries, each with a document; a document with the query's id is never its negative.
        documents: the corpus.
        search: queries to a run.
        settings: of the mining.
        judge: loads what gives (query text, document text) pairs their logits, where ``screen`` or ``teach`` needs it.
        seed: of the draws.

    Returns:
        One row a query text, and the counts of :func:`mine_negatives`.
    """
    texts = Corpus.of(documents).texts
    queries: dict[str, str] = {}
    relevant: dict[str, set[str]] = {}
    for pair in pairs:
        queries.setdefault(normalize_query(pair.text), pair.text)
        relevant.setdefault(normalize_query(pair.text), set()).add(pair.doc_id)
    run = _search(search, {key: (text, min(relevant[key])) for key, text in queries.items()}, identical_documents(pairs, texts))
    logits = judge() if queries and (settings.screen or settings.teach) else None
    known: dict[tuple[str, str], float] = {}

    def score(wanted: Sequence[tuple[str, str]]) -> list[float]:
        new = [pair for pair in dict.fromkeys(wanted) if pair not in known]
        if logits is not None and new:
            known.update(zip(new, logits([(queries[key], texts[doc_id]) for key, doc_id in new]), strict=True))
        return [known[pair] for pair in wanted]

    scorer = score if logits and settings.screen else None
    negatives, counts = mine_negatives(relevant, run, Corpus.of(documents).groups, settings, scorer=scorer, seed=seed)
    rows = []
    for key, text in queries.items():
        pos, neg = sorted(relevant[key]), negatives[key]
        scores = score([(key, doc_id) for doc_id in (*pos, *neg)]) if logits and settings.teach else None
        taught = {} if scores is None else {"pos_scores": scores[: len(pos)], "neg_scores": scores[len(pos) :]}
        rows.append(RankingRow(query=text, pos=pos, neg=neg, **taught))
    return rows, counts


def _search(search: Search, queries: Mapping[str, tuple[str, str]], identical: Mapping[str, set[str]]) -> list[ScoredDoc]:
    """The run of queries that are known by the keys of their texts, without the documents that they themselves are."""
    if not queries:
        return []
    named = name_texts(list(queries))  # a key may look like a document's id
    results = search({name: queries[key] for name, key in named.items()})
    run = (ScoredDoc(named[item.query_id], item.doc_id, item.score) for item in results)
    return [item for item in run if item.doc_id not in identical.get(item.query_id, ())]


def mine_negatives(
    relevant: Mapping[str, set[str]],
    run: Sequence[ScoredDoc],
    groups: Mapping[str, int],
    window: WindowSettings,
    *,
    scorer: Scorer | None = None,
    seed: int,
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Draw negatives for each query from its results.

    Args:
        relevant: doc_ids judged relevant, by query_id.
        run: BM25, dense or ColBERT, to the end of the window at least.
        groups: from :class:`tandem.formats.corpus.Corpus`; near duplicates of a relevant document are never negatives.
        window: of the run; its margin is relative to the lowest relevant document that the run holds, where that one scores above 0.
        scorer: of a cross-encoder: documents that it scores above the query's lowest relevant document are screened out; None asks nobody.
        seed: of the draw, which depends on it and on the query's id alone.

    Returns:
        doc_ids by query_id in the order of the run, and counts: ``negatives``, ``queries_without``, and what each screen
        took for a false negative (``duplicates``, ``margin``, ``scorer``).
    """
    results = rank_results(run)
    counts = {"negatives": 0, "queries_without": 0, "duplicates": 0, "margin": 0, "scorer": 0}
    windows: dict[str, list[str]] = {}
    for query_id in relevant:
        windows[query_id] = _screen(results.get(query_id, []), relevant[query_id], groups, window, counts)
    if scorer is not None:
        windows = _screen_by_scorer(windows, relevant, scorer, counts)
    chosen = {}
    for query_id, inside in windows.items():
        drawn = set(random.Random(f"negatives:{seed}:{query_id}").sample(inside, min(window.negatives_per_query, len(inside))))
        chosen[query_id] = [doc_id for doc_id in inside if doc_id in drawn]
        counts["negatives"] += len(drawn)
        counts["queries_without"] += not drawn
    return chosen, counts


def _screen(
    ranked: Sequence[ScoredDoc],
    relevant: set[str],
    groups: Mapping[str, int],
    window: WindowSettings,
    counts: dict[str, int],
) -> list[str]:
    known = {groups[doc_id] for doc_id in relevant}
    positives = [item.score for item in ranked if item.doc_id in relevant]
    margin = window.relative_margin
    limit = margin * min(positives) if margin is not None and positives and min(positives) > 0 else float("inf")
    kept = []
    others = [item for item in ranked if item.doc_id not in relevant]
    for item in others[window.rank_start - 1 : window.rank_end]:
        if groups[item.doc_id] in known:
            counts["duplicates"] += 1
        elif item.score > limit:
            counts["margin"] += 1
        else:
            kept.append(item.doc_id)
    return kept


def _screen_by_scorer(
    windows: Mapping[str, Sequence[str]], relevant: Mapping[str, set[str]], scorer: Scorer, counts: dict[str, int]
) -> dict[str, list[str]]:
    pairs = [(query_id, doc_id) for query_id, window in windows.items() for doc_id in (*sorted(relevant[query_id]), *window)]
    scores = dict(zip(pairs, scorer(pairs), strict=True))
    kept = {}
    for query_id, window in windows.items():
        limit = min(scores[query_id, doc_id] for doc_id in relevant[query_id])
        kept[query_id] = [doc_id for doc_id in window if scores[query_id, doc_id] <= limit]
        counts["scorer"] += len(window) - len(kept[query_id])
    return kept
