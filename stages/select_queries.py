"""Choose the kept queries worth training on by the loss of the round before's retriever: predicted, exact, or at random."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from stages.opening import open_stage, run
from stages.sections import LexicalParams
from tandem.filters.informative import Mode, informative_queries
from tandem.formats.jsonl import read_records, write_json, write_records
from tandem.formats.texts import CorpusFile
from tandem.hardware import device_name
from tandem.records import PseudoQuery
from tandem.retrievers.query_loss import QueryLoss
from tandem.retrievers.retriever import load_retriever

LOSS = ("negatives", "temperature", "language", "seed")  # values of the loss itself


class Params(LexicalParams):
    """How much of what the filters kept, and by what."""

    mode: Mode
    """off (all of it), predicted (LossNet), exact (the loss itself) or random (as many, drawn by seed)"""
    top_share: float = Field(gt=0, le=1)
    """of the kept queries, those with the highest loss"""
    drop_share: float = Field(ge=0, lt=1)
    """of the kept queries, those with the very highest, mostly noise, are left out before"""
    queries_per_document: int | None
    sample: int
    """queries whose loss LossNet learns from"""
    negatives: int
    """half of them random, half from ranks 30 to 200 of BM25"""
    temperature: float = Field(gt=0)
    """1 for MaxSim, 0.05 for a cosine"""
    objective: Literal["margin", "mse"]
    epochs: int
    batch_size: int
    learning_rate: float
    minimum_spearman: float
    """of LossNet on held-out queries; below it exact losses take its place, with a warning"""
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries, corpus and the retriever of the round before, write all rows with loss and status."""
    reads, writes = "corpus queries weights", "selected metrics"
    with open_stage("select_queries", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        model = load_retriever(paths.weights, device=device_name()) if params.mode not in ("off", "random") else None
        loss = QueryLoss(model, CorpusFile(paths.corpus), bm25=params.bm25, **params.model_dump(include=set(LOSS)))
        own, rows = params.model_dump(exclude={*LOSS, "bm25"}), read_records(paths.queries, PseudoQuery)
        rows, measures = informative_queries(rows, loss.losses, loss.vectors, **own, seed=params.seed)
        write_records(paths.selected, rows)
        write_json(paths.metrics, measures)
        tracked.log(measures)


if __name__ == "__main__":
    run(main)
