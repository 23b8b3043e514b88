"""Train the reward model on preference pairs and gate it: its accuracy on pairs of held-out documents says whether it counts."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_json
from tandem.formats.tables import write_curve
from tandem.generators.prompts import PromptSettings
from tandem.generators.reward_model import RewardModelSettings, fit_reward_model
from tandem.records import PreferencePair
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(RewardModelSettings):
    """Reward model training, and the prompt that it is done with."""

    prompt: PromptSettings
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
        loss, gate = fit_reward_model(
            paths.generator,
            read_records(paths.pairs, PreferencePair),
            read_records(paths.held_out, PreferencePair),
            Corpus(paths.corpus).texts,
            paths.model,
            params,
            prompt=params.prompt,
            compute=Compute(device=device_name(), bf16=use_bf16(params.precision), seed=params.seed, scratch=scratch),
        )
        write_json(paths.gate, gate)
        write_curve(paths.curve, {"loss": loss})
        tracked.log_series("loss", loss)
        tracked.log(gate)


if __name__ == "__main__":
    run(main)
