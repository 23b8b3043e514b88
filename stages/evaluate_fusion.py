"""Fuse the runs of single systems: the untrained ones, and each round's retriever in the place of the untrained one of its kind."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.collections import read_judgements, read_runs, write_runs
from tandem.evaluation.fusion import UNTRAINED, FusionSettings, fuse_system
from tandem.evaluation.measures import mean_measures, per_query
from tandem.formats.jsonl import write_json
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.system import BASELINES, DENSE, EXPANDED, arm_sources, describe_system, untrained_arm
from tandem.runtime.rounds import RoundPlan


class Params(FusionSettings):
    """Which systems are fused, and how."""

    retriever: RetrieverSettings
    rounds: dict[str, RoundPlan]


def single_runs(params: Params) -> dict[str, str]:
    """Where the runs of arms lie that are no systems of the gate: expanded BM25 of each round, and dense vectors beside a ColBERT's."""
    runs = {f"{EXPANDED}-{name}": f"{EXPANDED}/{name}" for name in params.rounds}
    if params.retriever.kind == "both":
        runs |= {f"{DENSE}-{name}": f"{name}/{DENSE}" for name in ("r0", *params.rounds)}
    return runs


def main(argv: Sequence[str] | None = None) -> None:
    """Read runs and judgements; write every system's arms, and each fused system's weights, runs and values."""
    reads, writes = "test dev guard runs", "metrics systems per_query dev_values guard_values fused"
    with open_stage("evaluate_fusion", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        qrels = read_judgements(paths.test, paths.dev, paths.guard)
        systems = [describe_system(name, {name: name}, {name: 1.0}, params.method) for name in BASELINES]
        trained_arm = untrained_arm(params.retriever.kind)
        systems += [describe_system(name, {trained_arm: name}, {trained_arm: 1.0}, params.method) for name in ("r0", *params.rounds)]
        values = {}
        for round_id in ("", "r0", *params.rounds):
            name = f"{UNTRAINED}-{round_id}" if round_id else UNTRAINED
            sources = arm_sources(params.arms, round_id, kind=params.retriever.kind, generated=round_id in params.rounds)
            fused = fuse_system({arm: read_runs(paths.runs / source, qrels) for arm, source in sources.items()}, qrels, params)
            systems.append(describe_system(name, sources, fused.weights, params.method))
            values[name] = fused.values
            write_runs(paths.fused / name, fused.runs)
            tracked.log({f"{name}/weight/{arm}": weight for arm, weight in fused.weights.items()})
            tracked.log({f"{name}/share/{arm}": share for arm, share in fused.shares.items()})
        write_json(paths.systems, {system.name: system.model_dump() for system in systems})
        for path, collection in ((paths.dev_values, "dev"), (paths.guard_values, "guard")):
            write_json(path, {name: measures[collection] for name, measures in values.items()})
        arms = {name: read_runs(paths.runs / source, ["test"])["test"] for name, source in single_runs(params).items()}
        test = {name: measures["test"] for name, measures in values.items()}
        test |= {name: per_query(qrels["test"], arm) for name, arm in arms.items()}  # no challengers: the gate meets them fused
        write_json(paths.per_query, test)
        write_json(paths.metrics, means := {name: mean_measures(measures) for name, measures in test.items()})
        tracked.log({f"{name}/{key}": value for name, measures in means.items() for key, value in measures.items()})


if __name__ == "__main__":
    run(main)
