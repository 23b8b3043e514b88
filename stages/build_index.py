"""Encode the corpus with a retriever and index the vectors, once for each weights; under a launcher, each process encodes its shards."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.retrievers.index.building import BuildSettings, build_index
from tandem.retrievers.retriever import load_retriever
from tandem.runtime.hardware import device_name
from tandem.settings import Seed


class Params(BuildSettings):
    """Which index, and how it is built."""

    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and weights, write the index."""
    reads = "corpus weights"
    with open_stage("build_index", Params, argv, reads=reads, writes="index", words="name") as (paths, params, _, scratch):
        model = load_retriever(paths.weights, device=device_name())
        build_index(model, Corpus(paths.corpus).texts, paths.index, params, scratch=scratch, seed=params.seed)


if __name__ == "__main__":
    run(main)
