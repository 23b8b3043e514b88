"""All that is measured of retrievers on tasks: ranks, answers found, and what the first key does for a language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from ir_measures import ScoredDoc

from tandem.evaluation.downstream import DownstreamSettings, measure_downstream
from tandem.evaluation.task_measures import measure_task, retrieved_keys
from tandem.llm.task_prompts import TaskModel
from tandem.records import TaskQuery
from tandem.settings import Count, Settings

__all__ = ["LIKELIHOOD", "TaskMeasureSettings", "likelihood_effect", "mean_values", "measure_ranks"]

LIKELIHOOD = "log_likelihood"
ByTask = dict[str, dict[str, dict[str, float]]]
"""a value of each query, by task and measure"""
Rank = Callable[[Sequence[TaskQuery], Sequence[str]], list[ScoredDoc]]
"""queries of one task and the keys of its corpus to a run"""


class TaskMeasureSettings(Settings):
    """What is measured."""

    measures: dict[str, str]
    """of each task, the one that is compared: mrr_at_K, recall_at_K, ndcg_at_K or answer_hit_at_K (K: 1, 5, 10, 100), or log_likelihood of
    the answer after the first key"""
    likelihood_queries: Count
    """of a task at most, the first ones, that log_likelihood is of"""
    prompts: DownstreamSettings
    """of log_likelihood"""

    def read_by_model(self, task: str) -> bool:
        """Whether a language model reads the task's first keys."""
        return self.measures.get(task) == LIKELIHOOD


def measure_ranks(
    queries: Mapping[str, Sequence[TaskQuery]], keys: Mapping[str, Sequence[str]], rank: Rank
) -> tuple[ByTask, dict[str, list[ScoredDoc]]]:
    """The values of a retriever, and its run of each task.

    Args:
        queries: evaluation rows by task.
        keys: of each task's corpus; of a task that has none, nothing or no key.
        rank: the retriever.
    """
    runs = {task: rank(asked, keys.get(task, ())) for task, asked in queries.items()}
    return {task: dict(measure_task(asked, runs[task], keys=keys.get(task) or None).values) for task, asked in queries.items()}, runs


def likelihood_effect(
    name: str,
    queries: Mapping[str, Sequence[TaskQuery]],
    keys: Mapping[str, Sequence[str]],
    runs: Mapping[str, Sequence[ScoredDoc]],
    model: Callable[[], TaskModel],
    settings: TaskMeasureSettings,
) -> dict[str, ByTask]:
    """What a language model makes of a retriever's first keys, for the tasks whose measure is the log-likelihood.

    Args:
        name: of the retriever.
        queries: evaluation rows by task.
        keys: of each task's corpus.
        runs: of the retriever, by task.
        model: loads the one that reads, where a task needs it.
        settings: of what is measured.

    Returns:
        Values by system: of the retriever, of ``no_key`` and of ``random_key``; the log-likelihood, and of short answers the exact match.
    """
    effect: dict[str, ByTask] = {}
    for task, asked in queries.items():
        if not settings.read_by_model(task):
            continue
        corpus = list(keys.get(task, ()))
        pool = corpus or [key for query in asked for key in query.key or ()]
        rows = retrieved_keys(asked[: settings.likelihood_queries], runs[task], corpus)
        values = measure_downstream(rows, {task: pool}, model(), settings.prompts)[0].values
        for system, condition in ((name, "retrieved"), ("no_key", "none"), ("random_key", "random")):
            effect.setdefault(system, {})[task] = {measure: by_condition[condition] for measure, by_condition in values.items()}
    return effect


def mean_values(values: Mapping[str, ByTask]) -> dict[str, float]:
    """Means as ``system/task/measure``, of the measures that have a value."""
    return {
        f"{system}/{task}/{measure}": fmean(by_query.values())
        for system, tasks in values.items()
        for task, measures in tasks.items()
        for measure, by_query in measures.items()
        if by_query
    }
