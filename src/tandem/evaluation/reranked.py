"""A reranker over the first documents of a retriever: what the two measure on test, and whether the reranker is worth it on dev."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ir_measures import ScoredDoc

from tandem.evaluation.champions import Outcome, choose_reranker
from tandem.evaluation.collections import Judged
from tandem.evaluation.gate import GateSettings
from tandem.evaluation.interpolation import below, choose_weight, cross_fit, interpolate
from tandem.evaluation.measures import MeasureName, per_query
from tandem.evaluation.significance import SignificanceSettings
from tandem.settings import Level

__all__ = ["RerankedSettings", "RerankerOutcome", "measure_reranked"]

Values = dict[str, dict[str, float]]
Scored = tuple[Sequence[ScoredDoc], Sequence[ScoredDoc], Sequence[ScoredDoc]]
Rescore = Callable[[Sequence[ScoredDoc], Mapping[str, str], Mapping[str, str]], Scored]


class RerankedSettings(SignificanceSettings):
    """When a reranker is worth it."""

    measure: MeasureName
    """of dev queries, at the gate"""
    alpha: Level
    """of the reranker's gain on dev"""

    def gate(self) -> GateSettings:
        """The rule of the gate: a significant gain alone counts, for a reranker is never cheaper than none."""
        return GateSettings(alpha=self.alpha, equal_within=0.0, guard_tolerance=0.0, resamples=self.resamples, seed=self.seed)


class RerankerOutcome(Outcome):
    """The gate of the reranker, and the weight of its scores beside the retriever's."""

    weight: float | None


def measure_reranked(
    name: str,
    collections: Mapping[str, Judged],
    runs: Mapping[str, Sequence[ScoredDoc]],
    rescore: Rescore | None,
    settings: RerankedSettings,
) -> tuple[dict[str, Values], RerankerOutcome]:
    """Test values of ``NAME+reranker``, and the reranker at the gate against no reranker.

    The weight of the reranker beside the retriever is chosen on dev; for its dev values, on the other half of dev.

    Args:
        name: of the retriever.
        collections: ``test`` and ``dev``.
        runs: of the retriever on both.
        rescore: run, queries and documents to the reranker's scores of the first documents, the retriever's of the same, and its documents
            beyond; None where there is no reranker.
        settings: of the gate.
    """
    if rescore is None:
        return {}, {"champion": "", "decisions": [], "models": {}, "weight": None}
    alone = per_query(collections["dev"].qrels, runs["dev"])
    scored = {key: rescore(runs[key], collections[key].queries, collections[key].documents) for key in ("test", "dev")}
    pairs = [(qrel.query_id, qrel.doc_id) for qrel in collections["dev"].qrels]
    reranked, first, rest = scored["dev"]
    weight = choose_weight(reranked, first, pairs)
    dev = per_query(collections["dev"].qrels, below(cross_fit(reranked, first, pairs), rest))
    reranked, first, rest = scored["test"]
    test = per_query(collections["test"].qrels, below(interpolate(reranked, first, weight), rest))
    outcome = choose_reranker("relevance", alone[settings.measure], dev[settings.measure], settings.gate())
    return {f"{name}+reranker": test}, {**outcome, "weight": weight}
