"""Query likelihood: the mean log-probability of the query alone, after the document, in the order of the pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import QUERIES, TEXTS, prompted

from tandem.generators.examples import Example, Examples
from tandem.generators.prompt_settings import ExampleSettings, PromptedSettings
from tandem.generators.prompts import PROMPT_FILE, QueryPrompts
from tandem.generators.query_likelihood import (
    LikelihoodSettings,
    likelihood_prompts,
    load_query_likelihood,
    open_query_likelihood,
    resolve_generator,
)
from tandem.llm.causal_lm import CausalLM

SETTINGS = LikelihoodSettings(model="champion", document_tokens=None, rerank_depth=5, batch_size=4)
PAIRS = [(query, text) for query in list(QUERIES.values())[:3] for text in list(TEXTS.values())[:3]]
PROMPTED: PromptedSettings = prompted()
WITHOUT_EXAMPLES = PROMPTED.model_copy(
    update={"prompt": PROMPTED.prompt.model_copy(update={"examples": ExampleSettings(per_prompt=0, query_types=["question"])})}
)
EXAMPLES = Examples(per_prompt=1, by_type={"question": [Example(document="draw a line", query="how to draw", keywords="draw line")]})


def test_the_score_is_the_mean_of_the_query_s_tokens(tiny_generator: Path) -> None:
    prompts = likelihood_prompts(str(tiny_generator), SETTINGS, WITHOUT_EXAMPLES, seed=1)
    scores = load_query_likelihood(str(tiny_generator), prompts)(PAIRS)
    model = CausalLM.load(str(tiny_generator))
    rendered = QueryPrompts(model.tokenizer, PROMPTED.prompt).render([text for _, text in PAIRS], [""] * len(PAIRS))
    expected = [model.log_likelihood([prompt], [f" {query}"])[0].mean for prompt, (query, _) in zip(rendered, PAIRS, strict=True)]
    assert scores == pytest.approx(expected, abs=1e-4)
    assert all(score < 0 for score in scores)
    assert len({round(score, 4) for score in scores}) == len(PAIRS)
    assert load_query_likelihood(str(tiny_generator), prompts)([]) == []


def test_a_generator_s_own_examples_and_no_words(tiny_generator: Path, tmp_path: Path) -> None:
    for path in tiny_generator.iterdir():
        (tmp_path / path.name).symlink_to(path)
    shape = {"template": "{document} / {keywords} :", "document_tokens": 7}
    (tmp_path / PROMPT_FILE).write_text(json.dumps({**shape, "examples": EXAMPLES.model_dump()}))
    prompts = likelihood_prompts(str(tmp_path), SETTINGS, PROMPTED, seed=1)
    assert (prompts.template, prompts.document_tokens) == ("{document} / {keywords} :", 7)
    assert prompts.examples.by_type["question"][0].keywords == ""
    scorer = load_query_likelihood(str(tmp_path), prompts)
    assert scorer.prompts.render(["sort rows"], [""]) == ["draw a line /  : how to draw\n\nsort rows /  :"]
    cut = likelihood_prompts(str(tmp_path), SETTINGS.model_copy(update={"document_tokens": 3}), PROMPTED, seed=1)
    assert cut.document_tokens == 3
    described = json.loads(cut.model_dump_json())
    assert open_query_likelihood(str(tmp_path), described)(PAIRS) == load_query_likelihood(str(tmp_path), cut)(PAIRS)


def test_names_of_models(tmp_path: Path) -> None:
    for name in ("g1", "g2"):
        (tmp_path / name / "model/weights").mkdir(parents=True)
    assert resolve_generator("champion", tmp_path, "g2") == str(tmp_path / "g2/model/weights")
    assert resolve_generator("champion", tmp_path, "") == str(tmp_path / "g1/model/weights")
    assert resolve_generator("g1", tmp_path, "g2") == str(tmp_path / "g1/model/weights")
    assert resolve_generator("smollm2", tmp_path, "g2") == "smollm2"
    assert resolve_generator("org/model", tmp_path, "g2") == "org/model"
