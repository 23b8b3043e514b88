"""Measure BM25, the untrained encoder and every trained retriever on each task, and what their first key does for a language model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from stages.runtime import open_stage, run
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.task_systems import TaskMeasureSettings, likelihood_effect, mean_values, measure_ranks
from tandem.feedback.teacher import LikelihoodSettings, load_teacher
from tandem.formats.jsonl import write_json
from tandem.formats.task_files import read_keys, read_queries, read_rows
from tandem.retrievers.bm25 import BM25Settings, LexicalSettings
from tandem.retrievers.task_encoder import TaskEncoderSettings
from tandem.retrievers.task_search import open_task_systems, rank_task
from tandem.retrievers.training.task_dev import dev_by_task
from tandem.retrievers.training.task_settings import TaskRetrieverPlan
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Depth
from tandem.text import Language


class Params(TaskMeasureSettings):
    """What is measured, of which retrievers."""

    depth: Depth
    """keys of a run, a query"""
    model: str
    """the language model of log_likelihood: smollm2, a Hugging Face id or a folder"""
    task_encoder: TaskEncoderSettings
    retrievers: dict[str, TaskRetrieverPlan]
    bm25: BM25Settings
    language: Language
    precision: Precision


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpora, test queries, dev rows and models; write every value of every query."""
    reads, writes = "corpora test rows models", "per_query dev_values metrics"
    with open_stage("evaluate_tasks", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        queries, keys, dev = read_queries(paths.test), read_keys(paths.corpora / "test"), read_rows(paths.rows / "dev")
        lexical = LexicalSettings(bm25=params.bm25, language=params.language)
        systems = open_task_systems(params.task_encoder, lexical, paths.models, list(params.retrievers), device=device_name())
        lengths, bf16 = LikelihoodSettings.of_lengths(params.prompts), use_bf16(params.precision)
        kept = Path(".scratch/likelihoods.jsonl")
        reader = cache(partial(load_teacher, params.model, lengths, cache=kept, device=device_name(), bf16=bf16))
        values: dict[str, Any] = {}
        for name, system in systems.items():
            values[name], runs = measure_ranks(queries, keys, partial(rank_task, retriever=system, depth=params.depth))
            for reference, tasks in likelihood_effect(name, queries, keys, runs, reader, params).items():
                for task, measures in tasks.items():
                    values.setdefault(reference, {}).setdefault(task, {}).update(measures)
        write_json(paths.per_query, values)
        write_json(paths.dev_values, {name: dev_by_task(dev, system, ndcg_at_10) for name, system in systems.items()})
        write_json(paths.metrics, means := mean_values(values))
        tracked.log(means)


if __name__ == "__main__":
    run(main)
