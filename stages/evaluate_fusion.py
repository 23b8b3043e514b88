"""Fuse the runs of single systems: the untrained ones, and each round's retriever in the place of the untrained one of its kind."""

from __future__ import annotations

from collections.abc import Sequence

from stages.opening import open_stage, run
from stages.sections import RetrieverParams
from tandem.evaluation.collections import read_collections, read_runs, top_documents, write_runs
from tandem.evaluation.fusing import FusionSettings, fuse_system
from tandem.evaluation.measures import mean_measures
from tandem.formats.jsonl import write_json
from tandem.retrievers.hybrid import Arm, System

UNTRAINED = "fusion"


class Params(FusionSettings):
    """Which systems are fused, and how."""

    retriever: RetrieverParams
    rounds: dict[str, dict[str, str]]


def main(argv: Sequence[str] | None = None) -> None:
    """Read runs and judgements; write each fused system with its weights, runs and values."""
    reads, writes = "corpus test dev guard runs", "metrics systems values runs_of_fused"
    with open_stage("evaluate_fusion", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        qrels = {name: judged.qrels for name, judged in read_collections(paths.corpus, paths.test, paths.dev, paths.guard).items()}
        systems, means, values = {}, {}, {}
        for round_id in ("", "r0", *params.rounds):
            name = f"{UNTRAINED}-{round_id}" if round_id else UNTRAINED
            arms = {arm: round_id if round_id and arm == params.retriever.kind else arm for arm in params.arms}
            fused = fuse_system({arm: read_runs(paths.runs / source, qrels) for arm, source in arms.items()}, qrels, params)
            systems[name] = _system(name, arms, fused.weights, params).model_dump()
            means[name] = {**mean_measures(fused.values["test"]), **{f"share/{arm}": share for arm, share in fused.shares.items()}}
            values[name] = {**fused.values, "top": top_documents(fused.runs["test"])}
            write_runs(paths.runs_of_fused / name, fused.runs)
        write_json(paths.metrics, means)
        write_json(paths.systems, systems)
        write_json(paths.values, values)
        tracked.log({f"{name}/{key}": value for name, measures in means.items() for key, value in measures.items()})
        tracked.log({f"{name}/weight/{arm}": own["weight"] for name, system in systems.items() for arm, own in system["arms"].items()})


def _system(name: str, sources: dict[str, str], weights: dict[str, float], settings: FusionSettings) -> System:
    arms = {arm: Arm(index=f"out/indexes/{source}", weights=_weights(source), weight=weights[arm]) for arm, source in sources.items()}
    return System(name=name, arms=arms, method=settings.method)


def _weights(source: str) -> str | None:
    if source == "bm25":
        return None
    return f"out/models/baselines/{source}/weights" if source in ("dense", "colbert") else f"out/rounds/{source}/retriever/weights"


if __name__ == "__main__":
    run(main)
