"""Fine-tune the query generator on the labelled pairs (LoRA, loss on the query alone) and merge the adapter."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arguments import parse, run
from stages.sections import LoraParams, PromptParams
from tandem.formats.jsonl import read_records
from tandem.formats.tables import write_curve
from tandem.generators.sft import fine_tune_on_pairs
from tandem.hardware import Precision, device_name, use_bf16
from tandem.params import Section, load_params
from tandem.records import Document, LabelledPair
from tandem.scratch import open_scratch
from tandem.tracking import record, save_model_folder, serving_code


class Params(Section):
    """Supervised fine-tuning."""

    base: str
    """builtin (the small model that ships), a Hugging Face id or a folder"""
    epochs: float
    batch_size: int
    learning_rate: float
    lora: LoraParams
    prompt: PromptParams
    precision: Precision
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs and corpus, write the merged model and its loss curve."""
    arguments = parse(__doc__, argv, "corpus", "train", "dev", "model", "curve", "record")
    params = load_params(arguments.params, "train_generator", Params)
    inputs = [arguments.corpus, arguments.train, arguments.dev]
    with (
        record("train_generator", params, arguments.record) as tracked,
        open_scratch("train_generator", values=params.model_dump_json(), inputs=inputs) as scratch,
        save_model_folder(arguments.model, serving_code("generator_model")) as weights,
    ):
        fitted = fine_tune_on_pairs(
            read_records(arguments.corpus, Document),
            read_records(arguments.train, LabelledPair),
            read_records(arguments.dev, LabelledPair),
            weights,
            **params.model_dump(exclude={"lora", "prompt", "precision"}),
            **{f"lora_{key}": value for key, value in params.lora.model_dump().items()},
            **params.prompt.model_dump(),
            scratch=scratch,
            device=device_name(),
            bf16=use_bf16(params.precision),
        )
        tracked.log_series("loss", fitted.loss)
        tracked.log_series("dev_loss", fitted.dev_loss)
        tracked.log({"merge_difference": fitted.merge_difference})
        write_curve(arguments.curve, {"loss": fitted.loss, "dev_loss": fitted.dev_loss})


if __name__ == "__main__":
    run(main)
