"""What retrieved keys do for a language model: perplexity over all tokens, exact match, pairs of queries, seeded random keys."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from conftest import QUERIES, TEXTS

from tandem.evaluation.downstream import DownstreamSettings, exact_match, measure_downstream, normalize_answer
from tandem.evaluation.significance import SignificanceSettings
from tandem.interfaces import Completion, LogLikelihood
from tandem.llm.causal_lm import CausalLM
from tandem.llm.served import Words
from tandem.records import TaskQuery

FEW = SignificanceSettings(resamples=200, seed=1)
CORPUS = [f"capital number {i} is town{i}" for i in range(12)]


def settings(**changes: Any) -> DownstreamSettings:
    values: dict[str, Any] = {"key_tokens": 24, "query_tokens": 24, "answer_tokens": 12, "max_length": 90}
    return DownstreamSettings(**{**values, "max_new_tokens": 6, "seed": 5, **changes})


class Reads:
    """Finds an answer likely, and writes it, where its words are in the prompt; a token is a word."""

    tokenizer, label, max_length = Words(), "reads", None

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.written: list[str] = []

    def log_likelihood(self, prompts: list[str], completions: list[str]) -> list[LogLikelihood]:
        self.prompts = prompts
        values = []
        for prompt, completion in zip(prompts, completions, strict=True):
            words = completion.split()
            values.append(LogLikelihood(sum(-1.0 if word in prompt.split() else -3.0 for word in words), len(words)))
        return values

    def complete(self, prompts: list[str], sampling: Any, *, seed: Any, one_line: bool, groups: Any = ()) -> list[Completion]:
        assert sampling.temperature == 0
        assert one_line
        self.written = prompts
        texts = [prompt.split(" is ")[1].split("\n")[0] if " is " in prompt else "nothing" for prompt in prompts]
        return [Completion(f" The {text.upper()}!", 1, 1) for text in texts]

    def costs(self) -> dict[str, float]:
        return {}


def asked(count: int = 8, task: str = "qa", **changes: Any) -> list[TaskQuery]:
    return [
        TaskQuery(query_id=f"q{i}", task=task, query=f"capital number {i} ?", answers=[f"town{i}"], key=[CORPUS[i], "not read"], **changes)
        for i in range(count)
    ]


def measure(model: Any, queries: list[TaskQuery], corpora: Any = None, **changes: Any) -> Any:
    return measure_downstream(queries, corpora or {"qa": CORPUS, "chat": CORPUS}, model, settings(**changes), FEW)


def test_the_retrieved_key_against_none_and_a_random_one() -> None:
    model = Reads()
    (qa,) = measure(model, asked())
    assert (qa.task, qa.queries) == ("qa", 8)
    assert qa.perplexity == pytest.approx({"none": math.e**3, "random": math.e**3, "retrieved": math.e})
    assert qa.exact_match == {"none": 0.0, "random": 0.0, "retrieved": 1.0}
    assert set(qa.tests) == {f"{measure}/{baseline}" for measure in ("log_likelihood", "exact_match") for baseline in ("none", "random")}
    for test in qa.tests.values():
        assert test.difference == pytest.approx(2.0 if test is qa.tests["log_likelihood/none"] else test.difference)
        assert (test.wins, test.ties, test.losses) == (8, 0, 0)
        assert test.p_randomisation < 0.05
    assert qa.cut == {"key_cut": 0, "query_cut": 0, "answer_cut": 0}
    assert not any("not read" in prompt for prompt in model.prompts)
    assert [prompt.startswith("Question: ") for prompt in model.prompts] == [True] * 8 + [False] * 16, "no key, no line for it"


def test_perplexity_is_over_tokens_and_tests_are_over_queries() -> None:
    """A mean of the queries' own perplexities would be another number."""
    queries = asked(2)
    queries[0] = queries[0].model_copy(update={"answers": ["town0 b c d e f g"]})
    (qa,) = measure(Reads(), queries)
    assert qa.perplexity["retrieved"] == pytest.approx(math.exp((1 + 6 * 3 + 1) / 8))
    assert qa.tests["log_likelihood/none"].difference == pytest.approx((2 / 7 + 2) / 2)


def test_random_keys_are_drawn_by_seed_and_query() -> None:
    drawn: list[list[str]] = []
    for queries, seed in ((asked(), 5), (asked()[::-1], 5), (asked(), 6)):
        model = Reads()
        measure(model, queries, seed=seed)
        randoms = model.prompts[8:16]
        assert not any(CORPUS[i] in prompt for i, prompt in zip([int(row.query_id[1:]) for row in queries], randoms, strict=True))
        drawn.append(sorted(randoms))
    assert drawn[0] == drawn[1], "the order of queries decides nothing"
    assert drawn[0] != drawn[2]
    assert len({prompt.split("\n")[0] for prompt in drawn[0]}) > 3


def test_tasks_apart_and_long_answers_are_not_matched() -> None:
    model = Reads()
    qa, chat = measure(model, [*asked(3), *asked(4, "chat")])
    assert (qa.task, qa.queries, chat.task, chat.queries) == ("qa", 3, "chat", 4)
    assert chat.exact_match == {}
    assert set(chat.tests) == {"log_likelihood/none", "log_likelihood/random"}
    assert len(model.written) == 9, "nothing is written for the chat"


@pytest.mark.parametrize(
    ("queries", "corpora", "problem"),
    [
        ([*asked(2), *asked(1)], None, "query q0 of task qa: found twice"),
        ([TaskQuery(query_id="q", task="qa", query="x", key=["k"])], None, "query q of task qa: answers: none found"),
        ([TaskQuery(query_id="q", task="qa", query="x", answers=["a"], key=[])], None, "query q of task qa: key: none found"),
        (asked(1), {"chat": CORPUS}, "corpus of task qa: no key found beside that of query q0"),
        (asked(1), {"qa": [CORPUS[0]] * 3}, "corpus of task qa: no key found beside that of query q0"),
    ],
)
def test_what_cannot_be_measured(queries: list[TaskQuery], corpora: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        measure(Reads(), queries, corpora)


def test_what_is_written_fits_behind_the_prompt() -> None:
    with pytest.raises(ValueError, match="max_new_tokens: 13 found, allowed: at most answer_tokens = 12"):
        settings(max_new_tokens=13)


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        (" The Eiffel  Tower.\nQuestion: more", ["eiffel tower"], 1.0),
        ("\n Paris", ["London", "paris"], 1.0),
        ("Paris, France", ["Paris"], 0.0),
        ("theatre", ["atre"], 0.0),
        ("A", ["A"], 1.0),
        ("The", ["A"], 0.0),
        ("B.", ["(b)"], 1.0),
        ("", ["the"], 0.0),
        ("!", ["?"], 0.0),
        ("«Élan»", ["élan"], 1.0),
    ],
)
def test_exact_match(text: str, answers: list[str], expected: float) -> None:
    assert exact_match(text, answers) == expected


def test_normalised_answers() -> None:
    assert normalize_answer("  An  apple, a day\t") == "apple day"


@pytest.mark.parametrize("bf16", [False, True])
def test_with_a_real_model(tiny_generator: Path, bf16: bool) -> None:
    model = CausalLM.load(str(tiny_generator), batch_size=4, bf16=bf16)
    queries = [
        TaskQuery(query_id=name, task="icl", query=QUERIES[name], answers=[QUERIES[name].split()[-1]], key=[text])
        for name, text in TEXTS.items()
    ]
    runs = [measure_downstream(queries, {"icl": list(TEXTS.values())}, model, settings(), FEW) for _ in range(2)]
    assert runs[0] == runs[1]
    (icl,) = runs[0]
    assert all(1 < value < 1e4 for value in icl.perplexity.values())
    assert len(set(icl.perplexity.values())) == 3
    assert set(icl.exact_match) == {"none", "random", "retrieved"}
