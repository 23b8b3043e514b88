"""Hard negatives from any run: a window of ranks, a margin under the positive, and screens against documents that may be relevant.

The run ``fusion`` also says which documents may be relevant too (:func:`false_negatives`), and teaches by its scores.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Literal, Self

from ir_measures import ScoredDoc
from pydantic import model_validator

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, MinedRow, PseudoQuery
from tandem.retrievers.training.pairs import identical_documents
from tandem.runs import name_texts, rank_results
from tandem.settings import CountOrZero, Depth, PositiveShare, Settings
from tandem.text import normalize_query

__all__ = ["MiningSettings", "WindowSettings", "false_negatives", "mine_for_ranking", "mine_negatives", "mine_rows"]

Scorer = Callable[[Sequence[tuple[str, str]]], list[float]]  # (query_id, doc_id) pairs to scores
Search = Callable[[str, Mapping[str, tuple[str, str]], int], Sequence[ScoredDoc]]  # a run's name, (text, doc_id) by query_id, the depth
Asked = tuple[Mapping[str, str], Mapping[str, set[str]]]  # query texts, and relevant doc_ids, by query_id
Scores = Mapping[str, Mapping[str, float]]  # by query and doc_id
BEYOND_WINDOW = 50  # results that a run is asked for behind its window, so that near duplicates and relevant documents cost it none
WHOLE_RUN = 1000  # more than arms of 100 results each can give: every document of the fused run


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

    run: Literal["off", "bm25", "dense", "retriever", "fusion"]
    """dense: the filter's encoder; retriever: what every round starts from; fusion: of section fusion; off writes no negatives"""
    screen: bool
    """leave out what the judge of relevance puts above the query's document"""
    mask_above: PositiveShare | None
    """documents whose fused score exceeds this share of the query's document's are left out of the contrastive loss of this query,
    wherever they stand in a batch, and are hard negatives for ``teach: fusion`` alone; null masks none"""
    teach: Literal["off", "judge", "fusion"]
    """write scores that train_retriever.distillation learns from: logits of the judge of relevance, or fused scores, 0 to 1"""

    @property
    def fused(self) -> bool:
        """Whether fused scores are needed."""
        return self.mask_above is not None or "fusion" in (self.run, self.teach)


def mine_rows(
    pairs: Sequence[LabelledPair | PseudoQuery],
    documents: Sequence[Document],
    search: Search,
    settings: MiningSettings,
    *,
    judge: Callable[[], Scorer | None],
    seed: int,
) -> tuple[list[MinedRow], dict[str, int]]:
    """The negatives of each query text that is trained on, by their doc_ids, with masks and a teacher's scores where they are asked for.

    Args:
        pairs: queries, each with a document; a document with the query's id is never its negative.
        documents: the corpus.
        search: the name of a run, queries and a depth to that run.
        settings: of the mining.
        judge: loads what gives (query text, document text) pairs their logits, where ``screen`` or ``teach`` needs it.
        seed: of the draws.

    Returns:
        One row a query text, and the counts of :func:`mine_negatives`; ``masked`` is the number of masked documents over all queries.
    """
    texts = Corpus.of(documents).texts
    queries: dict[str, str] = {}
    relevant: dict[str, set[str]] = {}
    for pair in pairs:
        queries.setdefault(normalize_query(pair.text), pair.text)
        relevant.setdefault(normalize_query(pair.text), set()).add(pair.doc_id)
    asked = {key: (text, min(relevant[key])) for key, text in queries.items()}
    find = partial(_search, search, asked, identical_documents(pairs, texts))
    fused = find("fusion", WHOLE_RUN) if settings.fused else []
    run = fused if settings.run == "fusion" else find(settings.run, settings.rank_end + BEYOND_WINDOW)
    fused_scores = _by_query(fused)
    masked = {key: false_negatives(fused_scores.get(key, {}), relevant[key], settings.mask_above) for key in queries}
    logits = judge() if queries and (settings.screen or settings.teach == "judge") else None
    judged = _Judged(logits, queries, texts).score if logits else None
    left_out = masked if settings.teach != "fusion" else {}  # what fused scores teach, they teach of masked documents too
    negatives, counts = mine_negatives(
        relevant, run, Corpus.of(documents).groups, settings, scorer=judged if settings.screen else None, left_out=left_out, seed=seed
    )
    teacher = {"off": None, "judge": judged, "fusion": partial(_look_up, fused_scores)}[settings.teach]
    rows = []
    for key, text in queries.items():
        pos, neg = sorted(relevant[key]), negatives[key]
        scores = teacher([(key, doc_id) for doc_id in (*pos, *neg)]) if teacher else None
        taught = {} if scores is None else {"pos_scores": scores[: len(pos)], "neg_scores": scores[len(pos) :]}
        rows.append(MinedRow(query=text, pos=pos, neg=neg, masked=masked[key], **taught))
    return rows, {**counts, "masked": sum(map(len, masked.values()))}


class _Judged:
    """A judge's logits for queries by key and documents by id, each pair asked for once."""

    def __init__(self, logits: Scorer, queries: Mapping[str, str], texts: Mapping[str, str]) -> None:
        self.logits, self.queries, self.texts = logits, queries, texts
        self.known: dict[tuple[str, str], float] = {}

    def score(self, wanted: Sequence[tuple[str, str]]) -> list[float]:
        new = [pair for pair in dict.fromkeys(wanted) if pair not in self.known]
        if new:
            self.known.update(zip(new, self.logits([(self.queries[key], self.texts[doc_id]) for key, doc_id in new]), strict=True))
        return [self.known[pair] for pair in wanted]


def _look_up(scores: Scores, wanted: Sequence[tuple[str, str]]) -> list[float]:
    return [scores.get(key, {}).get(doc_id, 0.0) for key, doc_id in wanted]


def false_negatives(scores: Mapping[str, float], relevant: set[str], share: float | None) -> list[str]:
    """The documents of one query that may be relevant too, best first: those above a share of its own document's score.

    Of several own documents the lowest counts. None of them in the run, or none above 0, says nothing of the others: no document is masked.

    Args:
        scores: fused, from 0, by doc_id.
        relevant: the query's own documents.
        share: of the own score; None masks none.
    """
    known = [scores[doc_id] for doc_id in relevant if doc_id in scores]
    if share is None or not known or min(known) <= 0:
        return []
    limit = share * min(known)
    return [doc_id for doc_id in sorted(scores, key=lambda i: (-scores[i], i)) if scores[doc_id] > limit and doc_id not in relevant]


def _by_query(run: Sequence[ScoredDoc]) -> Scores:
    scores: dict[str, dict[str, float]] = {}
    for item in run:
        scores.setdefault(item.query_id, {})[item.doc_id] = item.score
    return scores


def _search(
    search: Search, queries: Mapping[str, tuple[str, str]], identical: Mapping[str, set[str]], name: str, depth: int
) -> list[ScoredDoc]:
    """The run of queries that are known by the keys of their texts, without the documents that they themselves are."""
    if not queries:
        return []
    named = name_texts(list(queries))  # a key may look like a document's id
    results = search(name, {given: queries[key] for given, key in named.items()}, depth)
    run = (ScoredDoc(named[item.query_id], item.doc_id, item.score) for item in results)
    return [item for item in run if item.doc_id not in identical.get(item.query_id, ())]


def mine_negatives(
    relevant: Mapping[str, set[str]],
    run: Sequence[ScoredDoc],
    groups: Mapping[str, int],
    window: WindowSettings,
    *,
    scorer: Scorer | None = None,
    left_out: Mapping[str, Container[str]] | None = None,
    seed: int,
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Draw negatives for each query from its results.

    Args:
        relevant: doc_ids judged relevant, by query_id.
        run: BM25, dense or ColBERT, to the end of the window at least.
        groups: from :class:`tandem.formats.corpus.Corpus`; near duplicates of a relevant document are never negatives.
        window: of the run; its margin is relative to the lowest relevant document that the run holds, where that one scores above 0.
        scorer: of a cross-encoder: documents that it scores above the query's lowest relevant document are screened out; None asks nobody.
        left_out: doc_ids by query_id that are known to be no negatives.
        seed: of the draw, which depends on it and on the query's id alone.

    Returns:
        doc_ids by query_id in the order of the run, and counts: ``negatives``, ``queries_without``, and what each screen
        took for a false negative (``duplicates``, ``margin``, ``mask``, ``scorer``).
    """
    results = rank_results(run)
    counts = {"negatives": 0, "queries_without": 0, "duplicates": 0, "margin": 0, "mask": 0, "scorer": 0}
    windows: dict[str, list[str]] = {}
    for query_id in relevant:
        inside = _screen(results.get(query_id, []), relevant[query_id], groups, window, counts)
        masked = left_out.get(query_id, ()) if left_out else ()
        windows[query_id] = [doc_id for doc_id in inside if doc_id not in masked]
        counts["mask"] += len(inside) - len(windows[query_id])
    if scorer is not None:
        windows = _screen_by_scorer(windows, relevant, scorer, counts)
    chosen = {}
    for query_id, inside in windows.items():
        drawn = set(random.Random(f"negatives:{seed}:{query_id}").sample(inside, min(window.negatives_per_query, len(inside))))
        chosen[query_id] = [doc_id for doc_id in inside if doc_id in drawn]
        counts["negatives"] += len(drawn)
        counts["queries_without"] += not drawn
    return chosen, counts


def mine_for_ranking(
    search: Callable[..., Sequence[ScoredDoc]],
    train: Asked,
    dev: Asked,
    groups: Mapping[str, int],
    window: WindowSettings,
    *,
    dev_candidates: int,
    seed: int,
) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, int]]:
    """What rows for rerankers are made of: negatives of training queries, and the first documents of dev queries, whatever they are.

    Args:
        search: queries by id and a ``depth`` to a run.
        train: queries to train on, and their relevant documents, both by query_id.
        dev: likewise, that choose checkpoints.
        groups: from :class:`tandem.formats.corpus.Corpus`.
        window: of the training queries' run.
        dev_candidates: documents of a dev query.
        seed: of the draws.

    Returns:
        doc_ids by training query, by dev query, and the counts of :func:`mine_negatives` for the former.
    """
    everything = WindowSettings(rank_start=1, rank_end=dev_candidates, negatives_per_query=dev_candidates, relative_margin=None)
    run = search(train[0], depth=window.rank_end + BEYOND_WINDOW)
    negatives, counts = mine_negatives(train[1], run, groups, window, seed=seed)
    candidates, _ = mine_negatives(dev[1], search(dev[0], depth=dev_candidates), groups, everything, seed=seed)
    return negatives, candidates, counts


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
