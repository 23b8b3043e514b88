"""Choose the kept queries worth training on by the loss of the round before's retriever: predicted, exact, or at random."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from stages.runtime import open_stage, run
from stages.sections import LexicalParams
from tandem.filters.informative import Mode, informative_queries
from tandem.formats.jsonl import read_records, write_json, write_records
from tandem.formats.texts import CorpusFile
from tandem.records import PseudoQuery
from tandem.retrievers.query_loss import QueryLoss
from tandem.retrievers.retriever import load_retriever
from tandem.runtime.hardware import device_name
from tandem.settings import BatchSize, Count, CountOrZero, LearningRate, OpenShare, PositiveShare, Seed, Steps, Temperature

LOSS = ("negatives", "temperature", "language", "seed")  # values of the loss itself


class Params(LexicalParams):
    """How much of what the filters kept, and by what."""

    mode: Mode
    """off (all of it), predicted (LossNet), exact (the loss itself) or random (as many, drawn by seed)"""
    top_share: PositiveShare
    """of the kept queries, those with the highest loss"""
    drop_share: OpenShare
    """of the kept queries, those with the very highest, mostly noise, are left out before"""
    queries_per_document: Count | None
    sample: Count
    """queries whose loss LossNet learns from"""
    negatives: CountOrZero
    """half of them random, half from ranks 30 to 200 of BM25"""
    temperature: Temperature
    """1 for MaxSim, 0.05 for a cosine"""
    objective: Literal["margin", "mse"]
    epochs: Steps
    batch_size: BatchSize
    learning_rate: LearningRate
    min_spearman: float = Field(ge=-1, le=1, allow_inf_nan=False)
    """of LossNet on held-out queries; below it exact losses take its place, with a warning"""
    seed: Seed


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
