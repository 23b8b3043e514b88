"""Sample queries for documents from a generator (seeded, cleaned, resumable), from a server, or take them from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import write_records
from tandem.generators.prompts import PromptedSettings
from tandem.generators.queries import GenerationSettings, generate_queries, summarise
from tandem.runtime.hardware import Compute, device_name
from tandem.settings import Seed


class Params(GenerationSettings, PromptedSettings):
    """How many documents get queries, how these are sampled, and the prompt that asks for them."""

    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and generator, write one row for each query."""
    reads, writes, words = "corpus weights", "queries", "round cache"
    with open_stage("generate_queries", Params, argv, reads=reads, writes=writes, words=words) as (paths, params, tracked, scratch):
        rows, counts = generate_queries(
            Corpus(paths.corpus),
            paths.weights,
            params,
            params,
            prefix=paths.round,
            cache=Path(paths.cache),
            compute=Compute(device=device_name(), bf16=False, seed=params.seed, scratch=scratch),
        )
        write_records(paths.queries, rows)
        tracked.log({**counts, **summarise(rows)})


if __name__ == "__main__":
    run(main)
