"""The gate: which round's retriever and which generator stand at the end, by dev data and a guard collection, never by test data."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from stages.runtime import open_stage, run
from tandem.evaluation.champions import ChampionSettings, choose_generator, choose_retriever, to_markdown
from tandem.formats.jsonl import write_json, write_text
from tandem.runtime.rounds import RoundPlan, UpdatePlan


class Params(ChampionSettings):
    """When the champion moves."""

    rounds: dict[str, RoundPlan]
    updates: dict[str, UpdatePlan]


def main(argv: Sequence[str] | None = None) -> None:
    """Read dev and guard values of every round and the generators' values, write champions and every comparison with its reason."""
    reads, writes = "dev guard held_out rounds systems generators generator_values", "champions text"
    with open_stage("choose_champion", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        generators, values = orjson.loads(paths.generators.read_bytes()), orjson.loads(paths.generator_values.read_bytes())
        systems = orjson.loads(paths.systems.read_bytes())
        generated = bool(orjson.loads(paths.held_out.read_bytes()))
        champions = {
            "retriever": choose_retriever(paths.dev, paths.guard, paths.rounds, params.rounds, systems, params, generated=generated),
            "generator": choose_generator(generators, values, params),
        }
        write_json(paths.champions, champions)
        write_text(paths.text, text := to_markdown(champions))
        tracked.log({f"{role}/moved": sum(row["moved"] for row in outcome["decisions"]) for role, outcome in champions.items()})
        print(text)


if __name__ == "__main__":
    run(main)
