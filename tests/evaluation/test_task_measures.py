"""Measures of tasks against literals and against the originals' formulas."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from ir_measures import ScoredDoc

from tandem.evaluation.task_measures import measure_agreement, measure_task
from tandem.records import TaskQuery, TaskRow
from tandem.settings import SettingError


def query(query_id: str, pos_index: list[int] | None = None, **fields: Any) -> TaskQuery:
    return TaskQuery(query_id=query_id, task="qa", query=f"query {query_id}", pos_index=pos_index, **fields)


def ranked(query_id: str, *places: int) -> list[ScoredDoc]:
    return [ScoredDoc(query_id, str(place), -float(rank)) for rank, place in enumerate(places)]


def by_formula(labels: set[int], places: Sequence[int], k: int) -> dict[str, float]:
    """The originals' measures of one query, written down."""
    ranks = [rank for rank, place in enumerate(places[:k], start=1) if place in labels]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(labels), k) + 1))
    return {
        f"mrr_at_{k}": 1 / ranks[0] if ranks else 0.0,
        f"recall_at_{k}": len(ranks) / len(labels),
        f"ndcg_at_{k}": sum(1 / math.log2(rank + 1) for rank in ranks) / ideal,
    }


@pytest.mark.parity
@pytest.mark.parametrize("k", [1, 3, 5, 10, 100])
def test_against_the_formulas(k: int) -> None:
    rng = random.Random(k)
    queries, run, expected = [], [], {}
    for i in range(30):
        labels, places = rng.sample(range(40), rng.randint(1, 12)), rng.sample(range(40), rng.randint(1, 40))
        queries.append(query(str(i), labels + labels[:1]))  # pitfall 17: a label that stands twice raises the ideal no further
        run += ranked(str(i), *places)
        expected[str(i)] = by_formula(set(labels), places, k)
    rng.shuffle(run)
    measured = measure_task(queries, run, cutoffs=[k])
    for name in (f"mrr_at_{k}", f"recall_at_{k}", f"ndcg_at_{k}"):
        assert measured.values[name] == {query_id: pytest.approx(values[name]) for query_id, values in sorted(expected.items())}


def test_queries_without_relevant_keys_are_counted_and_left_out() -> None:
    """Pitfall 17: the original divides by their number of labels, zero or none."""
    queries = [query("a", [3]), query("b", []), query("c"), query("d", [1])]
    measured = measure_task(queries, [*ranked("a", 3), *ranked("b", 3), *ranked("c", 3)], cutoffs=[1])
    assert measured.values["recall_at_1"] == {"a": 1.0, "d": 0.0}
    assert measured.means["mrr_at_1"] == 0.5
    assert measured.counts["without_relevant"] == 2
    assert measured.counts["without_results"] == 1
    nothing = measure_task([query("b", [])], [], cutoffs=[1])
    assert nothing.means == {}
    assert nothing.values["ndcg_at_1"] == {}


KEYS = ["The Eiffel Tower stands in Paris.", "Rome, the eternal city", "Par\u00eds, in Spanish", "nothing"]


def test_recall_and_answer_hits_have_names_of_their_own() -> None:
    """Pitfall 17: the original reports both as recall@k, so that one overwrites the other."""
    measured = measure_task([query("a", [3], answers=["paris"])], ranked("a", 1, 0, 3), cutoffs=[1, 2, 5], keys=KEYS)
    hits = {name: by_query["a"] for name, by_query in measured.values.items() if name.startswith("answer_hit")}
    recalls = {name: by_query["a"] for name, by_query in measured.values.items() if name.startswith("recall")}
    assert hits == {"answer_hit_at_1": 0.0, "answer_hit_at_2": 1.0, "answer_hit_at_5": 1.0}
    assert recalls == {"recall_at_1": 0.0, "recall_at_2": 0.0, "recall_at_5": 1.0}
    assert len(measured.values) == 12


def test_answers_are_joined_by_id_whatever_the_order() -> None:
    """Pitfall 17: the original takes the nth query for the nth result. Query 0 has no result at all."""
    queries = [query("0", answers=["paris"]), query("1", answers=["rome"]), query("2", answers=["rome"]), query("3")]
    run = [*ranked("2", 0), *ranked("1", 1), *ranked("3", 0), *ranked("9", 1)]
    measured = measure_task(queries, run, cutoffs=[1], keys=KEYS)
    assert measured.values["answer_hit_at_1"] == {"0": 0.0, "1": 1.0, "2": 0.0}
    assert measured.counts == {
        "queries": 4,
        "without_relevant": 4,
        "without_answers": 1,
        "without_texts": 0,
        "without_results": 1,
        "unknown_results": 1,
    }
    again = measure_task(queries[::-1], run[::-1], cutoffs=[1], keys=KEYS)
    assert (again.means, again.counts) == (measured.means, measured.counts)


def test_candidates_of_a_query_s_own() -> None:
    """Places are among ``key``; with ``key_index`` they are the corpus's, whose other texts nobody has here."""
    own = query("a", [1], answers=["rome"], key=["x", "in Rome"])
    collated = query("b", [7], answers=["rome"], key=["x", "in Rome"], key_index=[4, 7])
    measured = measure_task([own, collated, query("c", [0], answers=["rome"])], [*ranked("a", 1, 0), *ranked("b", 4, 0, 7)], cutoffs=[1, 3])
    assert measured.values["answer_hit_at_1"] == {"a": 1.0, "b": 0.0}
    assert measured.values["answer_hit_at_3"] == {"a": 1.0, "b": 1.0}
    assert measured.values["recall_at_3"] == {"a": 1.0, "b": 1.0, "c": 0.0}
    assert measured.counts["without_texts"] == 1


def test_measures_of_one_call_do_not_meet_those_of_another() -> None:
    """Pitfall 17: the original's dictionary of measures lives on from call to call."""
    measure_task([query("a", [0], answers=["paris"])], ranked("a", 0), cutoffs=[7], keys=KEYS)
    assert set(measure_task([query("b", [0])], ranked("b", 0), cutoffs=[1]).means) == {"mrr_at_1", "recall_at_1", "ndcg_at_1"}


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="2 queries found with 1 ids"):
        measure_task([query("a", [0]), query("a", [1])], [])
    with pytest.raises(ValueError, match="'-1' found in the results of query 'a'"):
        measure_task([query("a", [0])], [ScoredDoc("a", "-1", 0.0)])  # pitfall 12
    with pytest.raises(ValueError, match="4 found in the results of query 'a', which is no place of its keys"):
        measure_task([query("a", answers=["x"])], ranked("a", 4), keys=KEYS)
    for cutoffs in ([], [0]):
        with pytest.raises(SettingError, match="cutoffs"):
            measure_task([], [], cutoffs=cutoffs)


def row(query_id: str, teacher: list[float] | None, keys: int = 3) -> TaskRow:
    return TaskRow(query_id=query_id, task="qa", query="q", pos=["a"], neg=[str(i) for i in range(keys - 1)], teacher_scores=teacher)


def test_agreement_with_a_teacher() -> None:
    """c: of three pairs one is turned around. d: 2 pairs are ordered alike, 1 tied by the teacher alone: 2 / sqrt(3 * 2)."""
    rows = [row("a", [3.0, 2.0, 1.0]), row("b", [1.0, 2.0, 3.0]), row("c", [3.0, 2.0, 1.0]), row("d", [2.0, 1.0, 1.0])]
    scores = {"d": [0.9, 0.8, 0.7], "c": [0.8, 0.9, 0.1], "b": [9.0, 8.0, 7.0], "a": [9.0, 8.0, 7.0]}
    measured = measure_agreement(rows, scores)
    tau = {"a": 1.0, "b": -1.0, "c": pytest.approx(1 / 3), "d": pytest.approx(2 / math.sqrt(6))}
    assert measured.values == {"kendall_tau": tau, "top_1_agreement": {"a": 1.0, "b": 0.0, "c": 0.0, "d": 1.0}}
    assert measured.counts == {"queries": 4, "without_scores": 0, "without_order": 0}


def test_ties_win_nothing() -> None:
    """A retriever that scores all keys alike agrees by chance: 1 of 3; the first of its keys is no better for being first."""
    measured = measure_agreement(
        [row("a", [3.0, 2.0, 1.0]), row("b", [1.0, 1.0, 1.0]), row("c", None)], {"a": [0.0] * 3, "b": [1.0, 2.0, 3.0]}
    )
    assert measured.values == {"kendall_tau": {}, "top_1_agreement": {"a": pytest.approx(1 / 3)}}
    assert measured.counts == {"queries": 3, "without_scores": 1, "without_order": 2}


def test_scores_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="row 'a': 2 scores found, one finite number for each of 3 keys"):
        measure_agreement([row("a", [3.0, 2.0, 1.0])], {"a": [1.0, 2.0]})
    with pytest.raises(ValueError, match="row 'a': 3 scores found, one finite"):
        measure_agreement([row("a", [3.0, 2.0, 1.0])], {"a": [1.0, math.nan, 2.0]})
    with pytest.raises(ValueError, match="2 rows found with fewer ids"):
        measure_agreement([row("a", None), row("a", None)], {})
