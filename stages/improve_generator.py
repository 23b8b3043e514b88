"""Improve the generator: PPO, RLOO or GRPO on round trip and reward model, documents easy to hard, or DPO on preference pairs."""

from __future__ import annotations

from collections.abc import Sequence

from stages.improvement_sections import ImprovementParams
from stages.runtime import open_stage, run
from stages.sections import PromptedParams
from tandem.feedback.difficulty import document_difficulty
from tandem.filters.reward import round_trip_reward
from tandem.formats.jsonl import read_records
from tandem.formats.tables import write_table
from tandem.formats.texts import CorpusFile
from tandem.generators.improvement import improve_generator, mean_of_last
from tandem.records import Difficulty, PreferencePair
from tandem.retrievers.bm25 import BM25Index
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(ImprovementParams, PromptedParams):
    """What is maximised and how, and the prompt that it is done with."""

    precision: Precision


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
        corpus = CorpusFile(paths.corpus)
        history = improve_generator(
            paths.generator,
            paths.reward_model,
            paths.gate,
            read_records(paths.pairs, PreferencePair),
            read_records(paths.held_out, PreferencePair),
            corpus.texts,
            document_difficulty(read_records(paths.difficulty, Difficulty)),
            weights,
            round_trip=round_trip_reward(corpus, BM25Index.load(paths.index).search) if params.needs_round_trip() else None,
            prompt=params.asked(),
            **params.model_dump(exclude={"prompt", "precision", "language"}),
            scratch=scratch,
            device=device_name(),
            bf16=use_bf16(params.precision),
        )
        columns = sorted({key for row in history for key in row} | {"step"})
        write_table(paths.curve, history, columns)
        for key in columns:
            tracked.log_series(key, [(int(row["step"]), row[key]) for row in history if key in row])
        tracked.log(mean_of_last(history))


if __name__ == "__main__":
    run(main)
