"""Index the corpus for BM25, once, for baseline, filters, rewards and hard negatives."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.retrievers.bm25 import LexicalSettings


class Params(LexicalSettings):
    """How words are read and weighed."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the corpus, write the index."""
    with open_stage("index_bm25", Params, argv, reads="corpus", writes="index") as (paths, params, tracked, _):
        index = params.index(Corpus(paths.corpus).texts)
        index.save(paths.index)
        tracked.log({"documents": len(index.doc_ids), "terms": 0 if index.empty else len(index.index.vocab_dict)})


if __name__ == "__main__":
    run(main)
