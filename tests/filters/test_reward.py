"""The round trip as a reward."""

from __future__ import annotations

from collections.abc import Mapping

from ir_measures import ScoredDoc

from tandem.filters.reward import RoundTripReward
from tandem.records import Document


class Table:
    """A searcher whose scores by doc_id are known for each query."""

    def __init__(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        self.scores = scores

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        assert depth >= 100
        return [
            ScoredDoc(query_id, doc_id, score) for query_id, text in queries.items() for doc_id, score in self.scores.get(text, {}).items()
        ]


def test_the_round_trip_as_a_reward() -> None:
    """Four documents, so log2 N = 2: rank 1 gives 1, rank 2 gives 1/2, rank 4 and not found give 0; near duplicates do not compete."""
    corpus = [Document(doc_id=i, text=f"text {i}") for i in "abcd"]
    scores = {"q1": {"a": 3.0}, "q2": {"b": 3.0, "a": 1.0}, "q3": {"b": 4.0, "c": 3.0, "d": 2.0, "a": 1.0}, "q4": {"b": 1.0}}

    reward = RoundTripReward(corpus, Table(scores))
    assert reward(["q1", "q2", "q3", "q4", ""], ["a"] * 5) == [1.0, 0.5, 0.0, 0.0, 0.0]
    twins = [document.model_copy(update={"group": "twins"}) if document.doc_id in "ab" else document for document in corpus]
    assert RoundTripReward(twins, Table(scores))(["q2"], ["a"]) == [1.0]
