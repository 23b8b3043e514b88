"""A language model as a teacher: keys are worth as much as they make the answer likely, ``log p(answer | key, query)``.

LLM-Embedder (arXiv 2310.07554, equation 1) takes the product of the tokens' probabilities, ``reduction: sum`` here; its published program
takes their mean, ``reduction: mean``. The two are different scales, and either differs from that of a reranker: the scale is written
beside the scores.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tandem.formats.jsonl import InputError, read_records, write_json, write_records
from tandem.interfaces import LogLikelihood
from tandem.llm.causal_lm import CausalLM, load_causal_lm
from tandem.llm.likelihood_cache import LikelihoodCache
from tandem.llm.task_prompts import TEMPLATES, PromptLengths, TaskModel, TaskPrompts, TaskRequest, count_cuts
from tandem.records import ScoreScale, TaskRow
from tandem.runtime.scratch import folder_identity
from tandem.settings import BatchSize

__all__ = [
    "LikelihoodSettings",
    "ScoredRows",
    "draw_rows",
    "limit_keys",
    "load_teacher",
    "read_scored",
    "scale_path",
    "score_rows",
    "write_scored",
]

CHUNK = 50_000  # pairs that are held as tokens at once


class LikelihoodSettings(PromptLengths):
    """How a likelihood becomes a score."""

    reduction: Literal["mean", "sum"]
    """mean: of the log-probabilities of the answer's tokens, by which answers of any length compare; sum: that of the whole answer"""
    answers: Literal["max", "first"]
    """of several answers: the likeliest one's score, or that of the first one"""
    batch_size: BatchSize
    """pairs at once"""

    @classmethod
    def of_lengths(cls, lengths: PromptLengths, batch_size: int = 16) -> LikelihoodSettings:
        """Settings of the mean likelihood of the first answer, of parts of these lengths."""
        parts = lengths.model_dump(include=set(PromptLengths.model_fields))
        return cls(**parts, reduction="mean", answers="first", batch_size=batch_size)


class ScoredRows(NamedTuple):
    """Rows with teacher scores, what these are, and how many rows, pairs and cut texts there were."""

    rows: list[TaskRow]
    scale: ScoreScale
    counts: dict[str, int]


def load_teacher(
    name: str, settings: LikelihoodSettings, *, cache: Path | None = None, device: str = "cpu", bf16: bool = False
) -> CausalLM:
    """Load a model that scores.

    Args:
        name: see :func:`tandem.llm.causal_lm.load_causal_lm`; likelihoods of a folder are cached by its content, others by name and commit.
        settings: of the score.
        cache: file of likelihoods; None computes each one anew.
        device: to run on.
        bf16: hold the weights in bfloat16.
    """
    model, tokenizer = load_causal_lm(name, device=device, bf16=bf16)
    commit = getattr(model.config, "_commit_hash", None)
    identity = folder_identity(Path(name)) if Path(name).is_dir() else f"{name}@{commit}" if commit else name
    return CausalLM(model, tokenizer, batch_size=settings.batch_size, identity=identity, likelihoods=LikelihoodCache(cache))


def score_rows(rows: Sequence[TaskRow], model: TaskModel, settings: LikelihoodSettings) -> ScoredRows:
    """Give every key of every row the likelihood of the row's answers after it.

    A score belongs to its query, key and answer and to no place in a list. Rows without a key stay as they are, and are counted.

    Args:
        rows: in any order, of any tasks that prompts are known for.
        model: the teacher.
        settings: how a likelihood becomes a score.

    Raises:
        ValueError: a row has keys and no answer, a blank text, or a task that there is no prompt for.
        SettingError: the model cannot score, or reads less than ``max_length``.
    """
    _check(rows)
    prompts = TaskPrompts(model, settings)
    counts, scored = Counter[str](), []
    for chunk in _chunks(rows, settings):
        requests = list(dict.fromkeys(request for row in chunk for request in _requests(row, settings)))
        rendered = prompts.render(requests)
        values = model.log_likelihood([pair.prompt for pair in rendered], [pair.completion for pair in rendered])
        scores = dict(zip(requests, (_reduce(value, settings) for value in values), strict=True))
        scored += [_with_scores(row, scores, settings) for row in chunk]
        counts.update({"pairs": len(requests), **count_cuts(rendered)})
    counts.update(rows=len(rows), rows_without_keys=sum(not (row.pos or row.neg) for row in rows))
    scale = ScoreScale(
        kind="likelihood",
        model=model.label,
        reduction=settings.reduction,
        answers=settings.answers,
        templates={task: TEMPLATES[task].version for task in sorted({row.task for row in rows if row.pos or row.neg})},
    )
    names = ("rows", "rows_without_keys", "pairs", "key_cut", "query_cut", "answer_cut")
    return ScoredRows(scored, scale, {name: counts[name] for name in names})


def _check(rows: Sequence[TaskRow]) -> None:
    """Before anything is scored: a long run does not end at its last row."""
    for row in rows:
        where = f"row {row.query_id} of task {row.task}"
        if (keys := len(row.pos) + len(row.neg)) and not row.answers:
            raise ValueError(f"{where}: answers: none found for {keys} keys, at least one is needed; give it, or take the row out")
        if keys and row.task not in TEMPLATES:
            raise ValueError(f"{where}: task: {row.task!r} found, allowed: {', '.join(TEMPLATES)}; rename it")
        if keys and not all(text.strip() for text in (row.query, *row.answers)):
            raise ValueError(f"{where}: query or answers: a blank text found, and only a text has a likelihood; take it out")


def _chunks(rows: Sequence[TaskRow], settings: LikelihoodSettings) -> Iterator[list[TaskRow]]:
    """Rows in order, of about as many pairs."""
    chunk: list[TaskRow] = []
    pairs = 0
    for row in rows:
        chunk.append(row)
        pairs += len(_requests(row, settings))
        if pairs >= CHUNK:
            yield chunk
            chunk, pairs = [], 0
    if chunk:
        yield chunk


def _answers(row: TaskRow, settings: LikelihoodSettings) -> list[str]:
    return row.answers[:1] if settings.answers == "first" else row.answers


def _requests(row: TaskRow, settings: LikelihoodSettings) -> list[TaskRequest]:
    """Every key with every answer that counts."""
    return [TaskRequest(row.task, key, row.query, answer) for key in (*row.pos, *row.neg) for answer in _answers(row, settings)]


def _reduce(value: LogLikelihood, settings: LikelihoodSettings) -> float:
    return value.mean if settings.reduction == "mean" else value.total


def _with_scores(row: TaskRow, scores: Mapping[TaskRequest, float], settings: LikelihoodSettings) -> TaskRow:
    """The row with one score a key, those of ``pos`` first."""
    keys = [*row.pos, *row.neg]
    if not keys:
        return row
    best = [max(scores[TaskRequest(row.task, key, row.query, answer)] for answer in _answers(row, settings)) for key in keys]
    return row.model_copy(update={"teacher_scores": best})


def draw_rows(rows: Sequence[TaskRow], number: int, *, seed: str) -> list[TaskRow]:
    """So many of the rows at most, drawn by seed, in their order."""
    if len(rows) <= number:
        return list(rows)
    return [rows[place] for place in sorted(random.Random(f"scored rows:{seed}").sample(range(len(rows)), number))]


def limit_keys(row: TaskRow, negatives: int) -> TaskRow:
    """The row with its first negatives alone; scores go, for they are of other keys."""
    if len(row.neg) <= negatives:
        return row
    places = None if row.neg_index is None else row.neg_index[:negatives]
    return row.model_copy(update={"neg": row.neg[:negatives], "neg_index": places, "teacher_scores": None})


def scale_path(path: Path) -> Path:
    """Where the scale of a file's scores is written."""
    return path.with_suffix(".scale.json")


def write_scored(path: Path, scored: ScoredRows) -> None:
    """Write rows and, beside them, the scale of their scores; a file without its scale is one that was not finished."""
    scale_path(path).unlink(missing_ok=True)
    write_records(path, scored.rows)
    write_json(scale_path(path), scored.scale.model_dump())


def read_scored(path: Path) -> tuple[list[TaskRow], ScoreScale]:
    """Rows, and the scale of their scores.

    Raises:
        InputError: either file is missing or not what it should be.
    """
    scale = scale_path(path)
    if not scale.exists():
        raise InputError(f"{path}: {scale.name} is not there, so nobody knows what its scores are; score the rows again")
    return read_records(path, TaskRow), ScoreScale.model_validate_json(scale.read_bytes())
