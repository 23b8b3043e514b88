"""Improve the generator: PPO, RLOO or GRPO on round trip and reward model, documents easy to hard, or DPO on preference pairs."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.feedback.difficulty import document_difficulty
from tandem.filters.reward import RoundTripReward
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.formats.tables import write_table
from tandem.generators.improvement import Feedback, ImprovementSettings, RewardSources, improve_generator, mean_of_last, series_of
from tandem.generators.prompts import PromptedSettings
from tandem.records import Difficulty, PreferencePair
from tandem.retrievers.bm25 import BM25Index
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(ImprovementSettings, PromptedSettings):
    """What is maximised and how, and the prompt that it is done with."""

    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read generator, reward model, gate, pairs, corpus and difficulty; write the merged generator and the metrics of each step."""
    reads, writes = "corpus index generator reward_model gate pairs held_out difficulty", "model curve"
    with (
        open_stage("improve_generator", Params, argv, reads=reads, writes=writes, words="round update") as (
            paths,
            params,
            tracked,
            scratch,
        ),
        save_model_folder(paths.model, serving_code("generator_model")) as weights,
    ):
        corpus = Corpus(paths.corpus)
        feedback = Feedback(
            corpus.texts,
            document_difficulty(read_records(paths.difficulty, Difficulty)),
            read_records(paths.pairs, PreferencePair),
            read_records(paths.held_out, PreferencePair),
        )
        sources = RewardSources(lambda: RoundTripReward(corpus, BM25Index.load(paths.index)), paths.reward_model, paths.gate)
        compute = Compute(device=device_name(), bf16=use_bf16(params.precision), seed=params.seed, scratch=scratch)
        history = improve_generator(paths.generator, feedback, weights, params, prompted=params, sources=sources, compute=compute)
        series = series_of(history)
        write_table(paths.curve, history, list(series))
        for name, points in series.items():
            tracked.log_series(name, points)
        tracked.log(mean_of_last(history))


if __name__ == "__main__":
    run(main)
