"""Sample queries for documents from a generator (seeded, cleaned, resumable), from a server, or take them from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import write_records
from tandem.generators.prompts import PromptedSettings
from tandem.generators.queries import GenerationSettings, generate_queries, summarise
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(GenerationSettings, PromptedSettings):
    """How many documents get queries, how these are sampled, and the prompt that asks for them."""

    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, the documents held out for dev queries, and the generator; write one row for each query."""
    reads, writes, words = "corpus held_out weights", "queries", "round cache"
    with open_stage("generate_queries", Params, argv, reads=reads, writes=writes, words=words) as (paths, params, tracked, scratch):
        rows, counts = generate_queries(
            Corpus(paths.corpus),
            paths.weights,
            params,
            params,
            prefix=paths.round,
            cache=Path(paths.cache),
            compute=Compute(device=device_name(), bf16=use_bf16(params.precision), seed=params.seed, scratch=scratch),
            held_out=orjson.loads(paths.held_out.read_bytes()),
        )
        write_records(paths.queries, rows)
        tracked.log({**counts, **summarise(rows)})


if __name__ == "__main__":
    run(main)
