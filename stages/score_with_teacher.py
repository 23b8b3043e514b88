"""A teacher's scores for every row to distil from, cached by content; the teacher is measured before it teaches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from stages.runtime import open_stage, run
from tandem.evaluation.ranking import row_measures
from tandem.formats.jsonl import write_json, write_records
from tandem.rerankers.distillation import ScoreCache, folder_digest, teach, teacher_auc
from tandem.rerankers.ranking_data import read_ranking
from tandem.rerankers.reranker import Reranker
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import BatchSize, PositiveTemperature, Settings


class Params(Settings):
    """How a teacher's logits become labels."""

    temperature: PositiveTemperature
    """of the teacher's logits; above 1 softens"""
    batch_size: BatchSize
    precision: Precision


def main(argv: Sequence[str] | None = None) -> None:
    """Read rows and the teacher, write rows with its scores, and its quality on the dev rows."""
    reads, writes = "rows dev_rows teacher", "taught metrics"
    with open_stage("score_with_teacher", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        reranker = Reranker(str(paths.teacher), device=device_name(), bf16=use_bf16(params.precision))
        cache = ScoreCache(Path(".scratch/teacher_scores.jsonl"), folder_digest(paths.teacher))
        score = partial(cache.score, scorer=partial(reranker.compute_score, batch_size=params.batch_size))
        dev_rows, _conflicts = read_ranking(paths.dev_rows)
        quality = {**row_measures(dev_rows, score), "auc": teacher_auc(dev_rows, score)}
        metrics = {f"teacher_{name}": value for name, value in quality.items()}
        write_json(paths.metrics, metrics)
        tracked.log(metrics)
        rows, _conflicts = read_ranking(paths.rows)
        write_records(paths.taught, teach(rows, score, temperature=params.temperature))


if __name__ == "__main__":
    run(main)
