"""Rerankers over the first documents of a retriever: what each measures on test with it, and which of them is worth it on dev."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired

from ir_measures import ScoredDoc

from tandem.evaluation.champions import Outcome, choose_reranker
from tandem.evaluation.collections import Judged
from tandem.evaluation.gate import GateSettings
from tandem.evaluation.interpolation import choose_weight, cross_fit, interpolate
from tandem.evaluation.measures import MeasureName, per_query
from tandem.evaluation.significance import SignificanceSettings
from tandem.runs import below
from tandem.settings import Level

__all__ = ["RerankedSettings", "RerankerOutcome", "Rescore", "Scored", "measure_reranked"]

Values = dict[str, dict[str, float]]
Scored = tuple[Sequence[ScoredDoc], Sequence[ScoredDoc], Sequence[ScoredDoc]]
Rescore = Callable[[Sequence[ScoredDoc], Mapping[str, str], Mapping[str, str]], Scored]
LABELS = {"relevance": "reranker"}  # in the table, where a scorer's name is another


class RerankedSettings(SignificanceSettings):
    """When a reranker is worth it."""

    measure: MeasureName
    """of dev queries, at the gate"""
    alpha: Level
    """of all comparisons of rerankers on dev together"""

    def gate(self) -> GateSettings:
        """The rule of the gate: a significant gain alone counts, for a reranker is never cheaper than none."""
        return GateSettings(alpha=self.alpha, equal_within=0.0, guard_tolerance=0.0, resamples=self.resamples, seed=self.seed)


class RerankerOutcome(Outcome):
    """The gate of rerankers, and the weight of each one's scores beside the retriever's.

    ``system`` describes the champion's: :class:`tandem.rerankers.reranked.RerankerSystem` as JSON.
    """

    weights: dict[str, float]
    system: NotRequired[Mapping[str, Any]]


def measure_reranked(
    name: str,
    collections: Mapping[str, Judged],
    runs: Mapping[str, Sequence[ScoredDoc]],
    rescorers: Mapping[str, Rescore],
    settings: RerankedSettings,
) -> tuple[dict[str, Values], RerankerOutcome]:
    """Test values of the retriever with each reranker, and rerankers at the gate against none, then against the best one so far.

    The weight of a reranker beside the retriever is chosen on dev; for its dev values, on the other half of dev.

    Args:
        name: of the retriever.
        collections: ``test`` and ``dev``.
        runs: of the retriever on both.
        rescorers: by the scorer's name, run, queries and documents to the scores of the first documents, the retriever's of the same, and
            its documents beyond.
        settings: of the gate.

    Returns:
        Values of ``NAME+reranker`` (of the scorer ``relevance``) and ``NAME+SCORER`` (of others), and the outcome.
    """
    test: dict[str, Values] = {}
    dev: dict[str, dict[str, float]] = {}
    weights: dict[str, float] = {}
    pairs = [(qrel.query_id, qrel.doc_id) for qrel in collections["dev"].qrels] if rescorers else []
    for scorer, rescore in rescorers.items():
        scored = {key: rescore(runs[key], collections[key].queries, collections[key].documents) for key in ("test", "dev")}
        reranked, first, rest = scored["dev"]
        weights[scorer] = weight = choose_weight(reranked, first, pairs)
        dev[scorer] = per_query(collections["dev"].qrels, below(cross_fit(reranked, first, pairs), rest))[settings.measure]
        reranked, first, rest = scored["test"]
        mixed = below(interpolate(reranked, first, weight), rest)
        test[f"{name}+{LABELS.get(scorer, scorer)}"] = per_query(collections["test"].qrels, mixed)
    if not rescorers:
        return {}, {"champion": "", "decisions": [], "models": {}, "weights": {}}
    alone = per_query(collections["dev"].qrels, runs["dev"])
    outcome = choose_reranker(alone[settings.measure], dev, settings.gate())
    return test, {**outcome, "weights": weights}
