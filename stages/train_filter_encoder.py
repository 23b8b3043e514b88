"""Train the dense filter (the paper's pretrained DPR) on the labelled pairs; with none it stays zero-shot."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.records import LabelledPair
from tandem.retrievers.training.filter_encoder import FilterEncoderSettings, train_filter_encoder
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(FilterEncoderSettings):
    """The dense bi-encoder of the filter, and its training."""

    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs and corpus, write the encoder."""
    reads, writes = "corpus train dev", "model"
    with open_stage("train_filter_encoder", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, scratch):
        trained = train_filter_encoder(
            Corpus(paths.corpus),
            read_records(paths.train, LabelledPair),
            read_records(paths.dev, LabelledPair),
            paths.model,
            params,
            measure=ndcg_at_10,
            compute=Compute(device_name(), use_bf16(params.precision), params.seed, scratch),
        )
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({"best_step": trained.best_step})


if __name__ == "__main__":
    run(main)
