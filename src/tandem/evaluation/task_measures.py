"""What LLM-Embedder's tasks are measured by: ranks of relevant keys, hits of an answer, and agreement with a teacher's scores.

Everything is joined by query_id, and every query that a measure cannot be taken of is counted and left out of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ir_measures import RR, Measure, Qrel, R, ScoredDoc, nDCG
from scipy.stats import kendalltau

from tandem.evaluation.calculation import calculate
from tandem.evaluation.measures import mean_measures
from tandem.records import TaskQuery, TaskRow
from tandem.runs import rank_results
from tandem.settings import Depth, SettingError
from tandem.text import answer_tokens, holds_answer

__all__ = ["CUTOFFS", "TaskMeasures", "measure_agreement", "measure_task", "retrieved_keys"]

CUTOFFS: tuple[Depth, ...] = (1, 5, 10, 100)
KeyText = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class TaskMeasures:
    """``values`` by measure and query_id, and ``counts`` of queries and of those that measures could not be taken of."""

    values: dict[str, dict[str, float]]
    counts: dict[str, int]

    @property
    def means(self) -> dict[str, float]:
        """The mean of every measure that has a value at all."""
        return mean_measures({name: by_query for name, by_query in self.values.items() if by_query})


def measure_task(
    queries: Sequence[TaskQuery], run: Iterable[ScoredDoc], *, cutoffs: Sequence[int] = CUTOFFS, keys: Sequence[str] | None = None
) -> TaskMeasures:
    """Measure a run by the queries' relevant keys and by their answers.

    ``mrr_at_k``, ``recall_at_k`` and ``ndcg_at_k`` (binary gains) are of the queries with ``pos_index``; a place that stands there twice is
    one key. ``answer_hit_at_k``, the measure of Natural Questions, is of the queries with answers: whether one of the first k keys holds
    one, see :func:`tandem.text.answer_tokens`. A query without results has 0.

    Args:
        queries: evaluation rows.
        run: keys by place in the corpus, or among a query's ``key`` where it brings candidates of its own; in any order of queries.
        cutoffs: the k of each measure.
        keys: texts of the corpus; without them ``answer_hit_at_k`` is of queries with ``key`` alone.

    Returns:
        Values, and counts: ``queries``, ``without_relevant``, ``without_answers``, ``without_texts`` (answers that could be looked for
        nowhere), ``without_results``, ``unknown_results`` (of queries that are none of these).

    Raises:
        SettingError: a cut-off below 1, or none.
        ValueError: two queries of one id, or a result that is no place.
    """
    if not cutoffs or min(cutoffs) < 1:
        raise SettingError("cutoffs", f"{list(cutoffs)} found, at least one rank from 1 is expected")
    by_id = {query.query_id: query for query in queries}
    if len(by_id) != len(queries):
        raise ValueError(f"{len(queries)} queries found with {len(by_id)} ids; results are joined by id, give each query another")
    results = list(run)
    places = {query_id: [_place(item) for item in items] for query_id, items in rank_results(results).items()}
    qrels = [Qrel(query.query_id, str(place), 1) for query in queries for place in sorted(set(query.pos_index or ()))]
    # R of ir_measures is what the originals call recall: of all relevant keys, those among the first k.
    measures: dict[str, Measure] = {}
    for k in sorted(set(cutoffs)):
        measures |= {f"mrr_at_{k}": RR @ k, f"recall_at_{k}": R @ k, f"ndcg_at_{k}": nDCG @ k}
    answered = {query.query_id: _texts_of(query, keys) for query in queries if query.answers}
    texts = {query_id: text_of for query_id, text_of in answered.items() if text_of is not None}
    first = {
        query_id: _first_hit(by_id[query_id], places.get(query_id, [])[: max(cutoffs)], text_of) for query_id, text_of in texts.items()
    }
    hits = {f"answer_hit_at_{k}": {query_id: float(rank <= k) for query_id, rank in first.items()} for k in sorted(set(cutoffs))}
    counts = {
        "queries": len(queries),
        "without_relevant": sum(not query.pos_index for query in queries),
        "without_answers": len(queries) - len(answered),
        "without_texts": len(answered) - len(texts),
        "without_results": sum(query_id not in places for query_id in by_id),
        "unknown_results": sum(item.query_id not in by_id for item in results),
    }
    return TaskMeasures({**calculate(measures, qrels, results), **hits}, counts)


def retrieved_keys(queries: Sequence[TaskQuery], run: Iterable[ScoredDoc], keys: Sequence[str]) -> list[TaskQuery]:
    """The queries with an answer and a result, each with the texts of its results, best first, as its ``key``.

    Args:
        queries: of one task.
        run: by place in the corpus, or among a query's candidates.
        keys: of the corpus.
    """
    ranked = rank_results(run)
    asked = [query for query in queries if query.answers and ranked.get(query.query_id)]
    texts = {query.query_id: _texts_of(query, keys) or keys.__getitem__ for query in asked}
    return [
        query.model_copy(update={"key": [texts[query.query_id](_place(item)) for item in ranked[query.query_id]], "key_index": None})
        for query in asked
    ]


def _place(item: ScoredDoc) -> int:
    if not item.doc_id.isdecimal():
        raise ValueError(f"'{item.doc_id}' found in the results of query '{item.query_id}', the place of a key from 0 is expected")
    return int(item.doc_id)


def _texts_of(query: TaskQuery, keys: Sequence[str] | None) -> KeyText | None:
    """The text of a place in a query's results, or None where nobody has the texts."""
    if query.key is not None and query.key_index is None:
        return query.key.__getitem__
    if keys is not None:
        return keys.__getitem__
    if query.key is not None and query.key_index is not None:
        known = dict(zip(query.key_index, query.key, strict=True))
        return lambda place: known.get(place, "")
    return None


def _first_hit(query: TaskQuery, places: Sequence[int], text_of: KeyText) -> float:
    answers = [answer_tokens(answer) for answer in query.answers]
    for rank, place in enumerate(places, start=1):
        try:
            text = text_of(place)
        except IndexError:
            raise ValueError(f"{place} found in the results of query '{query.query_id}', which is no place of its keys") from None
        if holds_answer(answer_tokens(text), answers):
            return rank
    return math.inf


def measure_agreement(rows: Sequence[TaskRow], scores: Mapping[str, Sequence[float]]) -> TaskMeasures:
    """How far a retriever orders each row's keys as the teacher does.

    ``kendall_tau`` is tau-b over ``pos`` and ``neg`` together (Kendall 1945), of rows where neither side scores all keys alike.
    ``top_1_agreement`` is whether the retriever's best key is one of the teacher's best; of several that it scores alike, their share.

    Args:
        rows: with teacher_scores.
        scores: of the retriever by query_id, one a key, those of ``pos`` first.

    Returns:
        Values, and counts: ``queries``, ``without_scores`` of either side, ``without_order`` (fewer than two keys, or all alike).

    Raises:
        ValueError: two rows of one id, not one score a key, or a score that is no finite number.
    """
    if len({row.query_id for row in rows}) != len(rows):
        raise ValueError(f"{len(rows)} rows found with fewer ids; scores are joined by id, give each row another")
    values: dict[str, dict[str, float]] = {"kendall_tau": {}, "top_1_agreement": {}}
    counts = {"queries": len(rows), "without_scores": 0, "without_order": 0}
    for row in rows:
        taught, given = row.teacher_scores, scores.get(row.query_id)
        if not taught or given is None:
            counts["without_scores"] += 1
            continue
        if len(given) != len(taught) or not all(map(math.isfinite, (*given, *taught))):
            raise ValueError(
                f"row '{row.query_id}': {len(given)} scores found, one finite number for each of {len(taught)} keys is expected"
            )
        best = [score for score, value in zip(taught, given, strict=True) if value == max(given)]
        if len(set(taught)) > 1:
            values["top_1_agreement"][row.query_id] = sum(score == max(taught) for score in best) / len(best)
        if len(set(taught)) < 2 or len(set(given)) < 2:
            counts["without_order"] += 1
        else:
            values["kendall_tau"][row.query_id] = float(kendalltau(given, taught, variant="b").statistic)
    return TaskMeasures(values, counts)
