"""Select the kept queries with the highest loss under the retriever of the round before: predicted, exact, or at random."""

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.filters.informative import SelectionSettings, informative_queries
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_json, write_records
from tandem.records import PseudoQuery
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.query_loss import QueryLoss, QueryLossSettings
from tandem.retrievers.retriever import load_retriever
from tandem.runtime.hardware import device_name
from tandem.settings import Seed


class Params(SelectionSettings, QueryLossSettings):
    """How many of the kept queries are selected, and by what loss."""

    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries, corpus and the retriever of the round before, write all rows with loss and status."""
    reads, writes = "corpus index queries weights", "selected metrics"
    with open_stage("select_queries", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        loss = None
        if params.needs_losses:
            model, bm25 = load_retriever(paths.weights, device=device_name()), BM25Index.load(paths.index)
            loss = QueryLoss(model, bm25, Corpus(paths.corpus), params, seed=params.seed)
        rows, measures = informative_queries(read_records(paths.queries, PseudoQuery), loss, params, seed=params.seed)
        write_records(paths.selected, rows)
        write_json(paths.metrics, measures)
        tracked.log(measures)


if __name__ == "__main__":
    run(main)
