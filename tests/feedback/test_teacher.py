"""Teacher scores: those of one forward pass a pair, joined by content, paid for once, with their scale beside them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from conftest import QUERIES, TEXTS

from tandem.feedback import teacher
from tandem.feedback.teacher import LikelihoodSettings, ScoredRows, load_teacher, read_scored, scale_path, score_rows, write_scored
from tandem.formats.errors import InputError
from tandem.llm import likelihood
from tandem.llm.causal_lm import CausalLM
from tandem.llm.likelihood import split_tokens
from tandem.llm.likelihood_cache import LikelihoodCache
from tandem.llm.task_prompts import TEMPLATES, TaskPrompts, TaskRequest
from tandem.records import ScoreScale, TaskRow
from tandem.settings import SettingError

NAMES = list(TEXTS)


def settings(**changes: Any) -> LikelihoodSettings:
    values: dict[str, Any] = {"reduction": "mean", "answers": "max", "batch_size": 5}
    values |= {"key_tokens": 24, "query_tokens": 24, "answer_tokens": 12, "max_length": 90}
    return LikelihoodSettings(**{**values, **changes})


def rows() -> list[TaskRow]:
    """A row of each task: keys of many lengths, several answers, and rows without keys between them."""
    made = []
    for i, task in enumerate(TEMPLATES):
        name, other = NAMES[i], NAMES[(i + 1) % 6]
        made.append(
            TaskRow(
                query_id=f"q{i}",
                task=task,
                query=QUERIES[name],
                pos=[TEXTS[name]],
                neg=[TEXTS[other], "table", f"{TEXTS[other]} {TEXTS[name]}"],
                answers=[TEXTS[name], "the values of one column", "draw"][: 1 + i % 3],
            )
        )
        made.append(TaskRow(query_id=f"empty{i}", task=task, query="nothing to score"))
    return made


def load(folder: Path, cache: Path | None = None, *, bf16: bool = False, **changes: Any) -> CausalLM:
    return load_teacher(str(folder), settings(**changes), cache=cache, bf16=bf16)


def one_call_a_pair(model: CausalLM, row: TaskRow, given: LikelihoodSettings) -> list[float]:
    """Each key's score from whole forward passes, without cache, padding or neighbours."""
    best = []
    for key in (*row.pos, *row.neg):
        scores = []
        for answer in row.answers if given.answers == "max" else row.answers[:1]:
            (made,) = TaskPrompts(model, given).render([TaskRequest(row.task, key, row.query, answer)])
            (before,), (after,) = split_tokens([made.prompt], [made.completion], model.tokenizer)
            with torch.inference_mode():
                log_probs = model.model(torch.tensor([before + after])).logits[0].float().log_softmax(-1)
            total = sum(log_probs[len(before) - 1 + i, token].item() for i, token in enumerate(after))
            scores.append(total / len(after) if given.reduction == "mean" else total)
        best.append(max(scores))
    return best


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("answers", ["max", "first"])
@pytest.mark.parametrize(("bf16", "tolerance"), [(False, 1e-4), (True, 0.1)])
def test_scores_are_those_of_one_call_a_pair(tiny_generator: Path, reduction: str, answers: str, bf16: bool, tolerance: float) -> None:
    given = settings(reduction=reduction, answers=answers)
    model = load(tiny_generator, bf16=bf16)
    scored = score_rows(rows(), model, given)
    for row in scored.rows:
        if row.pos:
            assert row.teacher_scores == pytest.approx(one_call_a_pair(model, row, given), abs=tolerance, rel=tolerance / 10)
    values = [score for row in scored.rows for score in row.teacher_scores or []]
    assert max(values) < 0
    assert len({round(value, 3) for value in values}) > len(values) / 2


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_any_batch_gives_the_same_scores(tiny_generator: Path, batch_size: int) -> None:
    model = load(tiny_generator)
    expected = {row.query_id: row for row in score_rows(rows(), model, settings()).rows}
    shuffled = random.Random(batch_size).sample(rows(), len(rows()))
    for row in score_rows(shuffled, load(tiny_generator, batch_size=batch_size), settings()).rows:
        assert (row.teacher_scores or []) == pytest.approx(expected[row.query_id].teacher_scores or [], abs=1e-4)
        assert row.model_copy(update={"teacher_scores": None}) == expected[row.query_id].model_copy(update={"teacher_scores": None})


def test_rows_without_keys_shift_nothing(tiny_generator: Path) -> None:
    """Joined by order, as the published program does, every row behind an empty one would have its neighbour's scores."""
    model = load(tiny_generator)
    every = score_rows(rows(), model, settings())
    alone = [score_rows([row], model, settings()).rows[0] for row in rows()]
    assert [row.query_id for row in every.rows] == [row.query_id for row in rows()]
    for together, by_itself, before in zip(every.rows, alone, rows(), strict=True):
        assert (together.teacher_scores or []) == pytest.approx(by_itself.teacher_scores or [], abs=1e-4)
        assert before.pos or together == before
    made = [(key, answer) for row in rows() for key in (*row.pos, *row.neg) for answer in row.answers]
    tokens = [[len(model.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in pair] for pair in made]
    cut = {"key_cut": sum(key > 24 for key, _ in tokens), "query_cut": 0, "answer_cut": sum(answer > 12 for _, answer in tokens)}
    assert every.counts == {"rows": 12, "rows_without_keys": 6, "pairs": len(made), **cut}
    assert cut["key_cut"] > 0 < cut["answer_cut"]


def test_the_likeliest_answer_counts_or_the_first_one(tiny_generator: Path) -> None:
    model = load(tiny_generator)
    (row,) = [row for row in rows() if len(row.answers) == 3][:1]
    each = [score_rows([row.model_copy(update={"answers": [answer]})], model, settings()).rows[0].teacher_scores for answer in row.answers]
    best = [max(scores) for scores in zip(*each, strict=True)]  # type: ignore[arg-type]
    assert score_rows([row], model, settings()).rows[0].teacher_scores == pytest.approx(best, abs=1e-4)
    first = settings(answers="first")
    assert score_rows([row], model, first).rows[0].teacher_scores == pytest.approx(each[0], abs=1e-4)
    again = score_rows([row], load(tiny_generator), first).rows[0].teacher_scores
    assert again == score_rows([row], model, first).rows[0].teacher_scores, "the published program draws another answer in another run"


class Spy:
    """Counts pairs that are scored, and may kill the run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kill_after: int = 10**9) -> None:
        self.pairs: list[int] = []
        self.kill_after = kill_after
        self.theirs = likelihood._score_batch
        monkeypatch.setattr(likelihood, "_score_batch", self)

    def __call__(self, model: Any, prompts: Any, *rest: Any) -> Any:
        if len(self.pairs) == self.kill_after:
            raise KeyboardInterrupt
        self.pairs.append(len(prompts))
        return self.theirs(model, prompts, *rest)


def test_a_killed_run_pays_for_no_pair_twice(tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "out/likelihoods.jsonl"
    fresh = score_rows(rows(), load(tiny_generator), settings())
    spy = Spy(monkeypatch, kill_after=3)
    with pytest.raises(KeyboardInterrupt):
        score_rows(rows(), load(tiny_generator, cache), settings())
    assert sum(spy.pairs) == 15
    cache.write_bytes(cache.read_bytes() + b'{"model": "weights:x", "rows": [["torn')
    spy.kill_after = 10**9
    again = score_rows(rows(), load(tiny_generator, cache), settings())
    assert sum(spy.pairs) == fresh.counts["pairs"]
    for one, other in zip(again.rows, fresh.rows, strict=True):
        assert (one.teacher_scores or []) == pytest.approx(other.teacher_scores or [], abs=1e-4)
    score_rows(rows(), load(tiny_generator, cache), settings(reduction="sum", answers="first"))
    assert sum(spy.pairs) == fresh.counts["pairs"], "a likelihood is the same whatever is made of it"


@pytest.mark.parametrize("change", ["weights", "precision", "cut", "text"])
def test_what_decides_a_score_is_in_its_key(tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    cache = tmp_path / "likelihoods.jsonl"
    (row,) = [row for row in rows() if row.task == "qa" and row.pos]
    score_rows([row], load(tiny_generator, cache), settings())
    spy, folder, given, bf16 = Spy(monkeypatch), tiny_generator, settings(), change == "precision"
    if change == "weights":
        folder = tmp_path / "other"
        shutil.copytree(tiny_generator, folder)
        weights = load_file(folder / "model.safetensors")
        save_file({name: value * 1.1 for name, value in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    elif change == "cut":
        given = settings(key_tokens=5)
    elif change == "text":
        row = row.model_copy(update={"query": row.query + " ?"})
    before = len(LikelihoodCache(cache).values)
    scored = score_rows([row], load(folder, cache, bf16=bf16), given)
    new = 2 if change == "cut" else 4  # a key of one word is not cut, and two keys begin alike
    assert sum(spy.pairs) == len(LikelihoodCache(cache).values) - before == new
    assert scored.rows[0].teacher_scores == score_rows([row], load(folder, cache, bf16=bf16), given).rows[0].teacher_scores


def test_chunks_change_nothing(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny_generator)
    whole = score_rows(rows(), model, settings())
    monkeypatch.setattr(teacher, "CHUNK", 6)
    parts = score_rows(rows(), model, settings())
    assert parts.counts == whole.counts
    for one, other in zip(parts.rows, whole.rows, strict=True):
        assert (one.teacher_scores or []) == pytest.approx(other.teacher_scores or [], abs=1e-4)


def test_the_same_key_twice_is_scored_once(tiny_generator: Path) -> None:
    row = TaskRow(query_id="q", task="qa", query="sort", pos=["table"], neg=["rows", "table"], answers=["order"])
    scored = score_rows([row, row.model_copy(update={"query_id": "other"})], load(tiny_generator), settings())
    first = scored.rows[0].teacher_scores
    assert first
    assert first[0] == first[2] != first[1]
    assert scored.rows[1].teacher_scores == first
    assert scored.counts["pairs"] == 2


def test_the_scale_stands_beside_the_scores(tiny_generator: Path, tmp_path: Path) -> None:
    """Published scores of one task are of another scale than those of the others, and nothing says so."""
    scored = score_rows(rows(), load(tiny_generator), settings(reduction="sum"))
    path = tmp_path / "out/train.scored.jsonl"
    write_scored(path, scored)
    written = orjson.loads(scale_path(path).read_bytes())
    assert written == {
        "kind": "likelihood",
        "model": scored.scale.model,
        "reduction": "sum",
        "answers": "max",
        "templates": {task: template.version for task, template in sorted(TEMPLATES.items())},
        "temperature": None,
    }
    assert scored.scale.model.startswith("weights:")
    assert len(scored.scale.model) > len("weights:") + 32
    assert read_scored(path) == (scored.rows, scored.scale)
    write_scored(path, ScoredRows(scored.rows[:2], scored.scale, {}))
    assert len(read_scored(path)[0]) == 2
    scale_path(path).unlink()
    with pytest.raises(InputError, match=r"train\.scored\.scale\.json is not there, so nobody knows what its scores are"):
        read_scored(path)


def test_a_file_that_fails_to_be_written_has_no_scale(tiny_generator: Path, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    scale = ScoreScale(kind="likelihood", model="m")
    write_scored(path, ScoredRows([], scale, {}))
    bad = TaskRow(query_id="q", task="qa", query="sort", pos=["table"], teacher_scores=[float("nan")])
    with pytest.raises(ValueError, match="not a finite number"):
        write_scored(path, ScoredRows([bad], scale, {}))
    with pytest.raises(InputError, match="score the rows again"):
        read_scored(path)


ROW: dict[str, Any] = {"query_id": "q7", "task": "qa", "query": "sort", "pos": ["a"], "neg": ["b"], "answers": ["c"]}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answers": []}, "row q7 of task qa: answers: none found for 2 keys"),
        ({"task": "QA"}, "row q7 of task QA: task: 'QA' found, allowed: qa, convsearch"),
        ({"answers": ["c", " "]}, "row q7 of task qa: query or answers: a blank text found"),
    ],
)
def test_a_row_that_cannot_be_scored_is_told_before_any_is(
    tiny_generator: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], problem: str
) -> None:
    spy = Spy(monkeypatch)
    with pytest.raises(ValueError, match=problem):
        score_rows([*rows(), TaskRow(**{**ROW, **changes})], load(tiny_generator), settings())
    assert spy.pairs == []


def test_no_rows_and_a_model_that_reads_too_little(tiny_generator: Path) -> None:
    model = load(tiny_generator)
    assert score_rows([], model, settings())[::2] == ([], dict.fromkeys(score_rows([], model, settings()).counts, 0))
    with pytest.raises(SettingError, match=r"max_length: 300 found, weights:.* reads at most 256 tokens"):
        score_rows(rows(), model, settings(max_length=300))
