"""A system whose first results a scorer of pairs puts in order: described, and searched with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import orjson
from ir_measures import ScoredDoc
from pydantic import JsonValue

from tandem.interfaces import Searcher
from tandem.rerankers.judge import Judge, JudgeSettings, load_judge, rerank
from tandem.runs import below, fuse_runs, rank_results
from tandem.settings import Depth, Settings, Share

__all__ = ["Reranked", "RerankerSystem", "ScorerName", "describe_judge", "open_scorer", "read_reranker"]

ScorerName = Literal["relevance", "final", "likelihood"]
"""relevance: who judges for the filters; final: the reranker of kept queries; likelihood: of the query, by a generator"""
SEARCHED = 100  # documents of the system beneath, whatever depth is asked for: scores are scaled within what is reranked


class RerankerSystem(Settings):
    """What puts the champion's first results in order."""

    scorer: ScorerName
    weights: str
    """folder of the model, from the project's root, or its name"""
    rerank_depth: Depth
    """results a query that it scores"""
    settings: dict[str, JsonValue]
    """of the scorer, as whoever opens it takes them"""
    retriever: str = ""
    """name of the system that it was measured over"""
    weight: Share = 0.0
    """of its scores beside the system's, each scaled to 0 to 1 within a query"""


Opener = Callable[[str, Mapping[str, JsonValue]], Judge]
"""weights and settings to a scorer of pairs"""


def describe_judge(scorer: ScorerName, weights: Path, settings: JudgeSettings, *, rerank_depth: int) -> RerankerSystem:
    """A reranker that a judge is: the one of the filters as its settings say, the final one from its weights.

    Args:
        scorer: relevance or final.
        weights: folder that the scorer ``trained`` stands for.
        settings: of the judge.
        rerank_depth: results a query.
    """
    chosen = settings if scorer == "relevance" else settings.model_copy(update={"scorer": "trained", "model": None, "form": None})
    return RerankerSystem(scorer=scorer, weights=str(weights), rerank_depth=rerank_depth, settings=chosen.model_dump())


def open_scorer(system: RerankerSystem, likelihood: Opener, *, device: str = "cpu", bf16: bool = False) -> Judge | None:
    """Load what scores pairs; None, with a warning, where it had nothing to learn from.

    Args:
        system: that describes it.
        likelihood: opens the scorer of that name, which is a generator's.
        device: to run on.
        bf16: score under bfloat16 autocast.
    """
    if system.scorer == "likelihood":
        return likelihood(system.weights, system.settings)
    return load_judge(JudgeSettings.model_validate(system.settings), Path(system.weights), device=device, bf16=bf16)


class Reranked:
    """Searches with a system, and mixes a scorer's scores of its first results with its own.

    Args:
        searcher: the system.
        judge: scores pairs of texts.
        documents: text by doc_id.
        rerank_depth: results a query that are scored.
        weight: of the judge's scores.
    """

    def __init__(self, searcher: Searcher, judge: Judge, documents: Mapping[str, str], *, rerank_depth: int, weight: float) -> None:
        self.searcher, self.judge, self.documents = searcher, judge, documents
        self.rerank_depth, self.weight = rerank_depth, weight

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank the corpus for each query, given as text by query_id, best first."""
        run = self.searcher.search(queries, depth=max(depth, self.rerank_depth, SEARCHED))
        scored, first, rest = rerank(self.judge, run, queries, self.documents, depth=self.rerank_depth)
        weights = {"judge": self.weight, "system": 1 - self.weight}
        mixed = below(fuse_runs({"judge": scored, "system": first}, weights, method="min_max"), rest)
        return [item for items in rank_results(mixed).values() for item in items[:depth]]


def read_reranker(path: Path, *, retriever: str) -> RerankerSystem | None:
    """What evaluate_reranked found worth having over a system; None where nothing was, or it has not measured this one.

    Args:
        path: what it wrote.
        retriever: name of the system.
    """
    if not path.is_file():
        return None
    described = orjson.loads(path.read_bytes()).get("system")
    system = RerankerSystem.model_validate(described) if described else None
    return system if system and system.retriever == retriever else None
