"""Fine-tune the query generator on the labelled pairs (LoRA, loss on the query alone) and merge the adapter."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.formats.tables import write_curve
from tandem.generators.prompts import PromptedSettings
from tandem.generators.sft import SFTSettings, fine_tune_on_pairs
from tandem.records import LabelledPair
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(SFTSettings, PromptedSettings):
    """Supervised fine-tuning, and the prompt that it is done with."""

    base: str
    """builtin (the small model that ships), a Hugging Face id or a folder"""
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs and corpus, write the merged model and its loss curve."""
    reads, writes = "corpus train dev", "model curve"
    with (
        open_stage("train_generator", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, scratch),
        save_model_folder(paths.model, serving_code("generator_model")) as weights,
    ):
        fitted = fine_tune_on_pairs(
            Corpus(paths.corpus),
            read_records(paths.train, LabelledPair),
            read_records(paths.dev, LabelledPair),
            weights,
            params,
            base=params.base,
            prompted=params,
            compute=Compute(device=device_name(), bf16=use_bf16(params.precision), seed=params.seed, scratch=scratch),
        )
        tracked.log_series("loss", fitted.loss)
        tracked.log_series("dev_loss", fitted.dev_loss)
        tracked.log({"merge_difference": fitted.merge_difference})
        write_curve(paths.curve, {"loss": fitted.loss, "dev_loss": fitted.dev_loss})


if __name__ == "__main__":
    run(main)
