"""The champion with rerankers on top: their scores of its first documents mixed with its own; and the rerankers' gate."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import partial

import orjson

from stages.runtime import open_stage, run
from tandem.evaluation.collections import read_collections, read_runs
from tandem.evaluation.measures import mean_measures
from tandem.evaluation.reranked import RerankedSettings, Rescore, measure_reranked
from tandem.formats.jsonl import write_json
from tandem.generators.prompts import PromptedSettings
from tandem.generators.query_likelihood import LikelihoodSettings, likelihood_prompts, open_query_likelihood, resolve_generator
from tandem.rerankers.judge import JudgeSettings, rerank
from tandem.rerankers.reranked import RerankerSystem, ScorerName, describe_judge, open_scorer
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Depth


class Params(RerankedSettings, PromptedSettings):
    """What reranks, and when it is worth it."""

    scorers: list[ScorerName]
    """relevance (who judges for the filters), final (rerankers.final), likelihood (of the query, by a generator); each meets the gate"""
    rerank_depth: Depth
    """results of the champion that relevance and final score, a query"""
    relevance: JudgeSettings
    likelihood: LikelihoodSettings
    precision: Precision


def describe(scorer: ScorerName, paths: Namespace, params: Params, generator: str) -> RerankerSystem:
    """What a scorer's name stands for in this pipeline, where ``generator`` is champion of its role."""
    if scorer != "likelihood":
        return describe_judge(scorer, getattr(paths, scorer), params.relevance, rerank_depth=params.rerank_depth)
    weights = resolve_generator(params.likelihood.model, paths.generators, generator)
    settings = likelihood_prompts(weights, params.likelihood, params, seed=params.seed).model_dump()
    return RerankerSystem(scorer=scorer, weights=weights, rerank_depth=params.likelihood.rerank_depth, settings=settings)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the champion and the models; write its reranked systems for the comparison, and which reranker is champion of its role."""
    reads, writes = "corpus test dev champions runs fused relevance final generators", "gate per_query"
    with open_stage("evaluate_reranked", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        champions = orjson.loads(paths.champions.read_bytes())
        name, device, bf16 = champions["retriever"]["champion"], device_name(), use_bf16(params.precision)
        likelihood = partial(open_query_likelihood, device=device, bf16=bf16)
        systems = {str(scorer): describe(scorer, paths, params, champions["generator"]["champion"]) for scorer in params.scorers}
        judges = {scorer: open_scorer(system, likelihood, device=device, bf16=bf16) for scorer, system in systems.items()}
        rescorers: dict[str, Rescore] = {
            scorer: partial(rerank, judge, depth=systems[scorer].rerank_depth) for scorer, judge in judges.items() if judge
        }
        collections = read_collections(paths.corpus, paths.test, paths.dev) if rescorers else {}
        runs = read_runs((paths.fused if (paths.fused / name).is_dir() else paths.runs) / name, ("test", "dev"))
        values, gate = measure_reranked(name, collections, runs, rescorers, params)
        if gate["champion"]:
            chosen = {"retriever": name, "weight": gate["weights"][gate["champion"]]}
            gate["system"] = systems[gate["champion"]].model_copy(update=chosen).model_dump()
        write_json(paths.gate, gate)
        write_json(paths.per_query, values)
        tracked.log({f"{scorer}/weight": weight for scorer, weight in gate["weights"].items()})
        tracked.log({f"{system}/{key}": value for system, found in values.items() for key, value in mean_measures(found).items()})


if __name__ == "__main__":
    run(main)
