"""Measure BM25, the untrained encoder and every trained retriever on each task, and what their first key does for a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.runtime import open_stage, run
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.downstream import DownstreamSettings, measure_downstream
from tandem.evaluation.task_measures import measure_task, retrieved_keys
from tandem.feedback.teacher import LikelihoodSettings, load_teacher
from tandem.formats.jsonl import write_json
from tandem.formats.task_files import read_keys, read_queries, read_rows
from tandem.records import TaskQuery
from tandem.retrievers.bm25 import BM25Settings, LexicalSettings
from tandem.retrievers.task_encoder import TaskEncoderSettings, build_task_encoder, load_task_encoder
from tandem.retrievers.task_search import BM25Tasks, EncoderTasks, TaskSearch, rank_task
from tandem.retrievers.training.task_dev import dev_by_task
from tandem.retrievers.training.task_settings import TaskRetrieverPlan
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Depth, Settings
from tandem.text import Language


class Params(Settings):
    """What is measured."""

    depth: Depth
    """keys of a run, a query"""
    measures: dict[str, str]
    """of each task: mrr_at_K, recall_at_K, ndcg_at_K or answer_hit_at_K (K: 1, 5, 10, 100), or log_likelihood of the answer after the
    first key"""
    model: str
    """the language model of log_likelihood: smollm2, a Hugging Face id or a folder"""
    prompts: DownstreamSettings
    """of log_likelihood"""
    task_encoder: TaskEncoderSettings
    retrievers: dict[str, TaskRetrieverPlan]
    bm25: BM25Settings
    language: Language
    precision: Precision


def open_systems(params: Params, models: Path) -> dict[str, TaskSearch]:
    """BM25, the untrained encoder with and without instructions, and every trained one."""
    device = device_name()
    systems: dict[str, TaskSearch] = {"bm25": BM25Tasks(LexicalSettings(bm25=params.bm25, language=params.language))}
    systems["untrained"] = EncoderTasks(build_task_encoder(params.task_encoder.bare(), device=device))
    systems["untrained_instructed"] = EncoderTasks(build_task_encoder(params.task_encoder, device=device))
    return systems | {name: EncoderTasks(load_task_encoder(models / name, device=device)) for name in params.retrievers}


def measure_systems(
    systems: Mapping[str, TaskSearch], queries: Mapping[str, list[TaskQuery]], keys: Mapping[str, list[str]], params: Params, cache: Path
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Values of every measure, by system, task and query."""
    settings = LikelihoodSettings.of_lengths(params.prompts)
    model = load_teacher(params.model, settings, cache=cache, device=device_name(), bf16=use_bf16(params.precision))
    values: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for name, system in systems.items():
        values[name] = {}
        for task, asked in queries.items():
            corpus = keys.get(task, [])
            run = rank_task(asked, corpus, system, depth=params.depth)
            values[name][task] = dict(measure_task(asked, run, keys=corpus or None).values)
            if params.measures.get(task) == "log_likelihood":
                pool = corpus or [key for query in asked for key in query.key or ()]
                effect = measure_downstream(retrieved_keys(asked, run, corpus), {task: pool}, model, params.prompts)[0]
                values[name][task]["log_likelihood"] = effect.values["log_likelihood"]["retrieved"]
                values.setdefault("no_key", {}).setdefault(task, {})["log_likelihood"] = effect.values["log_likelihood"]["none"]
                values.setdefault("random_key", {}).setdefault(task, {})["log_likelihood"] = effect.values["log_likelihood"]["random"]
    return values


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpora, test queries, dev rows and models; write every value of every query."""
    reads, writes = "corpora test rows models", "per_query dev_values metrics"
    with open_stage("evaluate_tasks", Params, argv, reads=reads, writes=writes, words="cache") as (paths, params, tracked, _):
        systems, dev = open_systems(params, paths.models), read_rows(paths.rows / "dev")
        values = measure_systems(systems, read_queries(paths.test), read_keys(paths.corpora / "test"), params, Path(paths.cache))
        write_json(paths.per_query, values)
        write_json(paths.dev_values, {name: dev_by_task(dev, system, ndcg_at_10) for name, system in systems.items()})
        means = {
            f"{name}/{task}/{measure}": sum(found.values()) / len(found)
            for name, tasks in values.items()
            for task, measures in tasks.items()
            for measure, found in measures.items()
            if found
        }
        write_json(paths.metrics, means)
        tracked.log(means)


if __name__ == "__main__":
    run(main)
