"""Index documents with the kept queries of a round and of the round before it for BM25: the arm `expanded` of the fusion."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.records import LabelledPair, PseudoQuery
from tandem.retrievers.bm25 import LexicalSettings
from tandem.retrievers.expansion import ExpansionSettings, expand_documents
from tandem.settings import Seed


class Params(ExpansionSettings, LexicalSettings):
    """What is appended, and how words are read and weighed."""

    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, dev pairs and the filtered queries of two rounds; write the index."""
    reads = "corpus dev previous_queries queries"
    with open_stage("index_expanded", Params, argv, reads=reads, writes="index", words="round") as (paths, params, tracked, _):
        rounds = [read_records(path, PseudoQuery) for path in dict.fromkeys((paths.previous_queries, paths.queries))]
        dev = read_records(paths.dev, LabelledPair)
        texts, counts = expand_documents(Corpus(paths.corpus).texts, rounds, dev, params, seed=params.seed)
        params.index(texts).save(paths.index)
        tracked.log(counts)


if __name__ == "__main__":
    run(main)
