"""The gate: which round's retriever and which generator stand at the end, by dev data and a guard collection, never by test data."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from stages.runtime import open_stage, run
from tandem.evaluation.champions import choose_generator, choose_retriever
from tandem.evaluation.gate import to_markdown
from tandem.evaluation.measures import MeasureName
from tandem.formats.jsonl import write_json, write_text
from tandem.runtime.rounds import RoundPlan, UpdatePlan
from tandem.settings import Level, Resamples, Seed, Settings, Share


class Params(Settings):
    """When the champion moves."""

    measure: MeasureName
    """of dev and guard queries"""
    alpha: Level
    """level of all meetings together"""
    equal_within: Share
    """half width of what counts as equal quality, where the cheaper one wins"""
    guard_tolerance: Share
    """the guard's mean may fall by this much, if not significantly"""
    min_distinct: Share
    """a generator that repeats itself more is no champion"""
    resamples: Resamples
    rounds: dict[str, RoundPlan]
    updates: dict[str, UpdatePlan]
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read dev and guard values of every round and the generators' values, write champions and every meeting with its reason."""
    reads, writes = "dev guard rounds generators generator_values", "champions text"
    with open_stage("choose_champion", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        rule = params.model_dump(include={"alpha", "equal_within", "guard_tolerance", "resamples", "seed"})
        generators = orjson.loads(paths.generators.read_bytes()), orjson.loads(paths.generator_values.read_bytes())
        champions = {
            "retriever": choose_retriever(paths.dev, paths.guard, paths.rounds, measure=params.measure, rounds=params.rounds, **rule),
            "generator": choose_generator(*generators, min_distinct=params.min_distinct, **rule),
        }
        write_json(paths.champions, champions)
        write_text(paths.text, shown := to_markdown(champions))
        tracked.log({f"{role}/moved": sum(d["moved"] for d in found["decisions"]) for role, found in champions.items()})
        print(shown)


if __name__ == "__main__":
    run(main)
