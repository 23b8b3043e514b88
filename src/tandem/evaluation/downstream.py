"""What retrieved keys do for a language model: its perplexity on answers and its answers, against no key and against a random one."""

from __future__ import annotations

import math
import random
import re
import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import model_validator

from tandem.evaluation.significance import DEFAULTS, Comparison, SignificanceSettings, compare
from tandem.interfaces import LogLikelihood, SamplingSettings
from tandem.llm.task_prompts import TEMPLATES, PromptLengths, TaskModel, TaskPrompt, TaskPrompts, TaskRequest, count_cuts
from tandem.records import TaskQuery
from tandem.settings import Seed, Tokens

__all__ = ["CONDITIONS", "Downstream", "DownstreamSettings", "exact_match", "measure_downstream", "normalize_answer"]

CONDITIONS = ("none", "random", "retrieved")
ARTICLES = re.compile(r"\b(a|an|the)\b")


class DownstreamSettings(PromptLengths):
    """How the effect on a language model is measured."""

    max_new_tokens: Tokens
    """of an answer that the model writes; at most answer_tokens"""
    seed: Seed
    """of the draw of random keys"""

    @model_validator(mode="after")
    def _leaves_room_to_write(self) -> DownstreamSettings:
        if self.max_new_tokens > self.answer_tokens:
            raise ValueError(
                f"max_new_tokens: {self.max_new_tokens} found, allowed: at most answer_tokens = {self.answer_tokens}; lower it"
            )
        return self


@dataclass(frozen=True, slots=True)
class Downstream:
    """One task: what the model makes of its queries with no key, a random one and the retrieved one.

    ``perplexity`` is over all answers' tokens; ``exact_match`` is empty for tasks whose answers are long. ``tests`` compare ``retrieved``
    with ``none`` and with ``random``, as ``log_likelihood/none``: the mean log-probability of a token of each query's answer, and the exact
    match, paired by query; more is better in both. ``cut`` counts texts that were cut with the retrieved key.
    """

    task: str
    queries: int
    perplexity: dict[str, float]
    exact_match: dict[str, float]
    tests: dict[str, Comparison]
    cut: dict[str, int]
    values: dict[str, dict[str, dict[str, float]]]
    """what the tests are of: by measure, condition and query_id"""


def measure_downstream(
    queries: Sequence[TaskQuery],
    corpora: Mapping[str, Sequence[str]],
    model: TaskModel,
    settings: DownstreamSettings,
    significance: SignificanceSettings = DEFAULTS,
) -> list[Downstream]:
    """Measure every task by itself.

    Args:
        queries: with an answer, and with the retrieved keys, best first, of which the first one is read.
        corpora: of each task, the keys that a random one is drawn from, other than the retrieved one.
        model: that reads.
        settings: of prompts and of the draw.
        significance: of the paired tests.

    Raises:
        ValueError: a query has no answer or no key, one stands twice in its task, or a task has no other key.
    """
    by_task: dict[str, dict[str, TaskQuery]] = {}
    for query in queries:
        if query.query_id in by_task.setdefault(query.task, {}):
            raise ValueError(f"query {query.query_id} of task {query.task}: found twice, each may stand once; give it an id of its own")
        if not query.answers or not query.key:
            name = "key" if query.answers else "answers"
            raise ValueError(f"query {query.query_id} of task {query.task}: {name}: none found, at least one is needed; give it")
        by_task[query.task][query.query_id] = query
    chosen = {task: _choose_keys(rows, corpora.get(task, ()), settings.seed) for task, rows in by_task.items()}
    return [_measure_task(list(rows.values()), chosen[task], model, settings, significance) for task, rows in by_task.items()]


def _choose_keys(queries: Mapping[str, TaskQuery], corpus: Sequence[str], seed: int) -> dict[str, dict[str, str | None]]:
    """The key of each query, by condition."""
    different = sorted(set(corpus))
    keys: dict[str, dict[str, str | None]] = {condition: {} for condition in CONDITIONS}
    for query_id, query in queries.items():
        retrieved = query.key[0] if query.key else None
        drawn = random.Random(f"random key:{seed}:{query.task}:{query_id}").sample(different, min(2, len(different)))
        others = [key for key in drawn if key != retrieved]
        if not others:
            raise ValueError(f"corpus of task {query.task}: no key found beside that of query {query_id}; give all keys of the task")
        for condition, key in zip(CONDITIONS, (None, others[0], retrieved), strict=True):
            keys[condition][query_id] = key
    return keys


def _measure_task(
    queries: Sequence[TaskQuery],
    keys: Mapping[str, Mapping[str, str | None]],
    model: TaskModel,
    settings: DownstreamSettings,
    significance: SignificanceSettings,
) -> Downstream:
    """Of the queries of one task, with the key that each condition has for each."""
    task, prompts = queries[0].task, TaskPrompts(model, settings)
    rendered = {
        condition: prompts.render([TaskRequest(task, keys[condition][row.query_id], row.query, row.answers[0]) for row in queries])
        for condition in CONDITIONS
    }
    likelihoods = _score(rendered, model)
    values = {"log_likelihood": {name: [value.mean for value in likelihoods[name]] for name in CONDITIONS}}
    if TEMPLATES[task].matches:
        values["exact_match"] = _match(rendered, queries, model, settings)
    by_query = {
        measure: {name: dict(zip((row.query_id for row in queries), numbers, strict=True)) for name, numbers in by_condition.items()}
        for measure, by_condition in values.items()
    }
    return Downstream(
        task=task,
        queries=len(queries),
        perplexity={name: _perplexity(likelihoods[name]) for name in CONDITIONS},
        exact_match={name: statistics.fmean(shares) for name, shares in values.get("exact_match", {}).items()},
        tests={
            f"{measure}/{baseline}": compare(by_condition[baseline], by_condition["retrieved"], significance)
            for measure, by_condition in by_query.items()
            for baseline in ("none", "random")
        },
        cut=count_cuts(rendered["retrieved"]),
        values=by_query,
    )


def _score(rendered: Mapping[str, Sequence[TaskPrompt]], model: TaskModel) -> dict[str, list[LogLikelihood]]:
    """The likelihood of each answer, by condition; all are scored together."""
    every = [made for name in CONDITIONS for made in rendered[name]]
    values = iter(model.log_likelihood([made.prompt for made in every], [made.completion for made in every]))
    return {name: [next(values) for _ in rendered[name]] for name in CONDITIONS}


def _match(
    rendered: Mapping[str, Sequence[TaskPrompt]], queries: Sequence[TaskQuery], model: TaskModel, settings: DownstreamSettings
) -> dict[str, list[float]]:
    """Whether what the model writes is one of each query's answers, by condition."""
    greedy = SamplingSettings(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=settings.max_new_tokens)
    prompts = [made.prompt for name in CONDITIONS for made in rendered[name]]
    texts = iter([written.text for written in model.complete(prompts, greedy, seed=settings.seed, one_line=True)])
    return {name: [exact_match(next(texts), row.answers) for row in queries] for name in CONDITIONS}


def _perplexity(values: Sequence[LogLikelihood]) -> float:
    """``exp(- sum of log-probabilities / number of tokens)`` over all answers: a long one counts for more than a short one."""
    return math.exp(-sum(value.total for value in values) / sum(value.tokens for value in values))


def exact_match(text: str, answers: Sequence[str]) -> float:
    """1 where the first line of a text is one of the answers, both normalised, else 0."""
    lines = text.strip().splitlines()
    return float(bool(lines) and normalize_answer(lines[0]) in {normalize_answer(answer) for answer in answers})


def normalize_answer(text: str) -> str:
    """An answer in lower case without punctuation, English articles and white space that says nothing (Rajpurkar et al. 2016).

    What would be nothing without them, as the choice ``A``, keeps them.
    """
    lower = " ".join(text.lower().split())
    letters = "".join(letter for letter in lower if not unicodedata.category(letter).startswith("P"))
    return " ".join(ARTICLES.sub(" ", letters).split()) or " ".join(letters.split()) or lower
