"""Trials: each generator reads the prompts that are its own, for the same documents and keywords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import QUERIES, TEXTS, prompted
from makers import compute_in

from tandem.generators import trial
from tandem.generators.examples import draw_examples, draw_untuned_examples
from tandem.generators.prompts import PromptedSettings, QueryPrompts
from tandem.generators.queries import QuerySettings
from tandem.llm.causal_lm import CausalLM, load_causal_lm, save_causal_lm
from tandem.records import Document, LabelledPair

SETTINGS = QuerySettings(sampled_documents=3, queries_per_document=2, batch_size=4, temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=4)


def settings(per_prompt: int | str, query_types: list[str]) -> PromptedSettings:
    values = prompted().model_dump()
    values["prompt"]["examples"] = {"per_prompt": per_prompt, "query_types": query_types}
    return PromptedSettings.model_validate(values)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """The prompts that each model was given, and how it was loaded."""
    calls: list[tuple[list[str], dict[str, Any]]] = []

    class Spy(CausalLM):
        @classmethod
        def load(cls, name: str, **named: Any) -> Spy:
            calls.append(([], named))
            return super().load(name, **named)

        def complete(self, prompts: Any, *arguments: Any, **named: Any) -> Any:
            calls[-1][0].extend(prompts)
            return super().complete(prompts, *arguments, **named)

    monkeypatch.setattr(trial, "CausalLM", Spy)
    return calls


def test_a_base_writes_after_examples_and_a_fine_tuned_model_without(
    tiny_generator: Path, tmp_path: Path, read: list[tuple[list[str], dict[str, Any]]]
) -> None:
    auto = settings("auto", ["question", "title"])
    model, tokenizer = load_causal_lm(str(tiny_generator))
    save_causal_lm(model, tokenizer, tmp_path / "g1")
    pairs = [LabelledPair(query_id=f"q-{name}", text=text, doc_id=name) for name, text in QUERIES.items()]
    QueryPrompts(tokenizer, auto.prompt, examples=draw_examples(auto, pairs, TEXTS, seed=1)).save(tmp_path / "g1")
    documents = [Document(doc_id=name, text=text) for name, text in TEXTS.items()]
    generators = {"base": str(tiny_generator), "g1": str(tmp_path / "g1")}
    trials = trial.write_trials(generators, documents, SETTINGS, auto, seen={"sort"}, compute=compute_in(tmp_path))
    (base, _), (tuned, _) = read
    assert [len(base), len(tuned)] == [6, 6]
    assert all(prompt.count("Query:") == 4 for prompt in base)
    assert all(prompt.count("Query:") == 1 for prompt in tuned)
    assert [prompt.split("\n\n")[-1] for prompt in base] == tuned, "the same documents, the same keywords"
    shown = [example.query for examples in draw_untuned_examples(auto, seed=1).by_type.values() for example in examples]
    assert {query for query in shown if any(query in prompt for prompt in base)} == set(shown), "both types take turns"
    assert [row.doc_id for row in trials["base"]] == [row.doc_id for row in trials["g1"]]


def test_precision_is_the_computation_s(tiny_generator: Path, tmp_path: Path, read: list[tuple[list[str], dict[str, Any]]]) -> None:
    documents = [Document(doc_id=name, text=text) for name, text in TEXTS.items()]
    for bf16 in (False, True):
        compute = compute_in(tmp_path, bf16=bf16)
        trial.write_trials({"base": str(tiny_generator)}, documents, SETTINGS, settings(0, ["question"]), seen=(), compute=compute)
        assert read[-1][1]["bf16"] is bf16
    assert read[0][0] == read[1][0]
