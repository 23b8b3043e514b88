"""Encode the corpus with a retriever and index the vectors, once for each weights; under a launcher, each process encodes its shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.retrievers.index.building import IndexSettings, build_index
from tandem.retrievers.retriever import load_retriever
from tandem.retrievers.settings import RetrieverSettings
from tandem.runtime.hardware import device_name
from tandem.settings import Seed


class Params(IndexSettings):
    """Which index, and how it is built."""

    retriever: RetrieverSettings
    """of the rounds, whose form the kind of index has to suit"""
    seed: Seed

    @model_validator(mode="after")
    def _suits_the_retriever(self) -> Self:
        allowed = ("exact", "plaid") if self.retriever.kind == "colbert" else ("exact", "flat", "hnsw", "ivf_pq")
        if self.kind not in allowed:
            raise ValueError(f"kind: {self.kind!r} found, a {self.retriever.kind} retriever takes {', '.join(allowed)}")
        return self


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and weights, write the index."""
    reads = "corpus weights"
    with open_stage("build_index", Params, argv, reads=reads, writes="index", words="name") as (paths, params, _, scratch):
        model = load_retriever(paths.weights, device=device_name())
        build_index(model, Corpus(paths.corpus).texts, paths.index, params, scratch=scratch, seed=params.seed)


if __name__ == "__main__":
    run(main)
