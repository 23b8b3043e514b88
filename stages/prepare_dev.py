"""The dev queries of all that is chosen: the labelled ones, or generated ones for documents that nothing is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_json, write_records
from tandem.generators.dev_queries import DevQuerySettings, HeldOut, hold_out_queries
from tandem.generators.prompts import PromptedSettings
from tandem.generators.queries import GenerationSettings
from tandem.records import LabelledPair
from tandem.retrievers.hybrid import open_untrained
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(DevQuerySettings, PromptedSettings):
    """How many dev queries are generated where none is labelled, and how the rounds generate theirs."""

    generate_queries: GenerationSettings
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read labelled dev pairs, corpus, generator and untrained indexes; write dev pairs, and the documents held out for them."""
    reads, writes, words = "corpus labelled weights indexes baselines", "dev held_out", "cache"
    with open_stage("prepare_dev", Params, argv, reads=reads, writes=writes, words=words) as (paths, params, tracked, scratch):
        labelled, device = read_records(paths.labelled, LabelledPair), device_name()
        held_out = HeldOut(labelled, [], {})
        if not labelled:
            held_out = hold_out_queries(
                Corpus(paths.corpus),
                paths.weights,
                params,
                params.generate_queries,
                params,
                partial(open_untrained(paths.indexes, paths.baselines, device=device).search, depth=params.keep_within),
                cache=Path(paths.cache),
                compute=Compute(device=device, bf16=use_bf16(params.precision), seed=params.seed, scratch=scratch),
            )
        write_records(paths.dev, held_out.pairs)
        write_json(paths.held_out, held_out.doc_ids)
        tracked.log({"labelled": len(labelled), "dev_queries": len({pair.query_id for pair in held_out.pairs}), **held_out.counts})


if __name__ == "__main__":
    run(main)
