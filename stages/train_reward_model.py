"""Train the reward model on preference pairs and gate it: its accuracy on pairs of held-out documents decides on PPO."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from stages.sections import PromptParams
from tandem.formats.jsonl import read_records, write_json
from tandem.formats.tables import write_curve
from tandem.formats.texts import TextFile
from tandem.generators.reward_model import fit_reward_model
from tandem.records import PreferencePair
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.runtime.lora import Lora
from tandem.settings import BatchSize, Coefficient, CountOrZero, Epochs, LearningRate, Seed, Settings, Share


class Params(Settings):
    """Reward model training."""

    epochs: Epochs
    batch_size: BatchSize
    learning_rate: LearningRate
    center_coefficient: Coefficient
    """keeps scores centred"""
    min_accuracy: Share
    min_pairs: CountOrZero
    """on held-out pairs, and how many training pairs; below either the reward model does not count"""
    lora: Lora
    prompt: PromptParams
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read generator, pairs and corpus, write the merged model, its curve and the gate's decision."""
    reads, writes = "corpus generator pairs held_out", "model gate curve"
    with open_stage("train_reward_model", Params, argv, reads=reads, writes=writes, words="round update") as (
        paths,
        params,
        tracked,
        scratch,
    ):
        fitted, gate = fit_reward_model(
            paths.generator,
            read_records(paths.pairs, PreferencePair),
            read_records(paths.held_out, PreferencePair),
            TextFile(paths.corpus),
            paths.model,
            **params.model_dump(exclude={"lora", "prompt", "precision"}),
            **{f"lora_{key}": value for key, value in params.lora.model_dump().items()},
            **params.prompt.model_dump(include={"template", "document_tokens"}),
            scratch=scratch,
            device=device_name(),
            bf16=use_bf16(params.precision),
        )
        write_json(paths.gate, gate)
        write_curve(paths.curve, {"loss": fitted})
        tracked.log_series("loss", fitted)
        tracked.log(gate)


if __name__ == "__main__":
    run(main)
