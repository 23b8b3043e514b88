"""Fine-tune the dense filter (the paper's pretrained DPR) on the labelled pairs; with none it stays zero-shot."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from stages.sections import ContrastiveParams, PromptTexts
from tandem.evaluation.measures import ndcg_at_10
from tandem.formats.jsonl import read_records
from tandem.formats.texts import CorpusFile
from tandem.records import LabelledPair
from tandem.retrievers.bi_encoder import train_bi_encoder
from tandem.runtime.hardware import device_name, use_bf16
from tandem.settings import Layers, Seed, Tokens


class Params(ContrastiveParams):
    """The dense bi-encoder of the filter."""

    encoder: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: Layers | None
    max_length: Tokens
    prompts: PromptTexts | None
    """before every query and document; null keeps the encoder's own"""
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs and corpus, write the encoder."""
    reads, writes = "corpus train dev", "model"
    with open_stage("train_filter_encoder", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, scratch):
        trained = train_bi_encoder(
            CorpusFile(paths.corpus),
            read_records(paths.train, LabelledPair),
            read_records(paths.dev, LabelledPair),
            paths.model,
            **params.model_dump(exclude={"precision"}),
            measure=ndcg_at_10,
            device=device_name(),
            scratch=scratch,
            bf16=use_bf16(params.precision),
        )
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({"best_step": trained.best_step})


if __name__ == "__main__":
    run(main)
