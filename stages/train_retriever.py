"""Train a round's retriever from the initial one: labelled pairs plus the kept queries of this round and the one before."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.formats.tables import write_curve
from tandem.records import LabelledPair, PseudoQuery, RankingRow
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.rounds import RoundData, RoundSettings, train_round
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(RoundSettings):
    """Training of a round's retriever; what it starts from stands under ``retriever``."""

    retriever: RetrieverSettings
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs, queries and corpus, write the model and its curves."""
    reads, writes = "corpus train dev previous_queries queries negatives", "model curve"
    with (
        open_stage("train_retriever", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, scratch),
        save_model_folder(paths.model, serving_code("retriever_model")) as weights,
    ):
        data = RoundData(
            Corpus(paths.corpus),
            read_records(paths.train, LabelledPair),
            read_records(paths.dev, LabelledPair),
            [read_records(path, PseudoQuery) for path in dict.fromkeys((paths.previous_queries, paths.queries))],
            read_records(paths.negatives, RankingRow),
        )
        compute = Compute(device_name(), use_bf16(params.precision), params.seed, scratch)
        trained, sizes = train_round(data, weights, params, params.retriever, measure=ndcg_at_10, compute=compute)
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({**sizes, "best_step": trained.best_step})
        write_curve(paths.curve, {"loss": trained.loss, "dev_ndcg_at_10": trained.dev})


if __name__ == "__main__":
    run(main)
