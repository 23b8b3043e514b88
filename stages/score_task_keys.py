"""A language model's scores of the keys of training and dev rows: how likely the answer is after each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stages.runtime import open_stage, run
from tandem.feedback.teacher import LikelihoodSettings, draw_rows, limit_keys, load_teacher, score_rows, write_scored
from tandem.formats.jsonl import write_records
from tandem.formats.task_files import read_rows
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Count, Seed

SPLITS: tuple[Literal["train", "dev"], ...] = ("train", "dev")


class Params(LikelihoodSettings):
    """Who scores which rows, and how."""

    model: str
    """smollm2, a Hugging Face id or a folder"""
    tasks: list[str]
    """whose rows are scored; those of other tasks stay as they are"""
    negatives: Count
    """a row, at most, the first ones: they and its positives are scored, and no others stay"""
    rows: dict[Literal["train", "dev"], Count]
    """of a task at most, drawn by seed: no others stay"""
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read rows, write them with scores, and what the scores are; likelihoods are cached, so that no pair is paid for twice."""
    with open_stage("score_task_keys", Params, argv, reads="rows", writes="scored") as (paths, params, tracked, _):
        model = None
        for split in SPLITS:
            for task, rows in read_rows(paths.rows / split).items():
                path = paths.scored / split / f"{task}.jsonl"
                if task not in params.tasks:
                    write_records(path, rows)
                    continue
                model = model or load_teacher(
                    params.model, params, cache=Path(".scratch/likelihoods.jsonl"), device=device_name(), bf16=use_bf16(params.precision)
                )
                drawn = draw_rows(rows, params.rows[split], seed=f"{params.seed}:{split}:{task}")
                scored = score_rows([limit_keys(row, params.negatives) for row in drawn], model, params)
                write_scored(path, scored)
                tracked.log({f"{split}/{task}/{name}": count for name, count in scored.counts.items()})


if __name__ == "__main__":
    run(main)
