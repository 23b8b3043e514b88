"""Supervised fine-tuning: rows with words that document and query share, a loss that falls, an adapter that is merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import prompted

from tandem.generators.examples import draw_examples
from tandem.generators.prompts import PromptedSettings, PromptShape, QueryPrompts, read_examples
from tandem.generators.sft import SFTSettings, fine_tune_on_pairs, supervised_rows
from tandem.generators.trainers import FineTuned
from tandem.llm.causal_lm import load_causal_lm
from tandem.records import Document, LabelledPair
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

SETTINGS = SFTSettings(epochs=15, batch_size=2, learning_rate=1e-2, lora=Lora(rank=4, alpha=8))
Fit = Callable[[list[LabelledPair], Path, Path], FineTuned]


def test_rows_offer_words_that_both_have(tiny_tokenizer: Any) -> None:
    prompt = prompted(document_tokens=9, keywords=2, template="{keywords}|{document}")
    pairs = [("sort the rows of a table", "order a table")] * 20
    rows = supervised_rows(pairs, QueryPrompts(tiny_tokenizer, prompt.prompt), {"": 2}, prompt, seed=1)
    assert {row["prompt"] for row in rows} == {"|sort the rows of a table", "table|sort the rows of a table"}
    assert rows[0]["completion"] == " order a table"


@pytest.fixture
def fitted(tiny_generator: Path, corpus: list[Document], pairs: list[LabelledPair]) -> Fit:
    def fit(train: list[LabelledPair], folder: Path, scratch: Path) -> FineTuned:
        compute = Compute(device="cpu", bf16=False, seed=1, scratch=scratch)
        dev = pairs[4:] if train else []
        return fine_tune_on_pairs(corpus, train, dev, folder, SETTINGS, base=str(tiny_generator), prompted=prompted(), compute=compute)

    return fit


def test_fine_tuning_learns_and_merges(fitted: Fit, pairs: list[LabelledPair], tmp_path: Path) -> None:
    result = fitted(pairs[:4], tmp_path / "model", tmp_path / "scratch")
    assert result.loss[-1][1] < result.loss[0][1] / 2
    assert result.merge_difference < 1e-3
    assert len(result.dev_loss) == 15
    model, tokenizer = load_causal_lm(str(tmp_path / "model"))
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_with_no_pairs_the_generator_stays_as_it_is(fitted: Fit, tiny_generator: Path, tmp_path: Path) -> None:
    result = fitted([], tmp_path / "model", tmp_path / "scratch")
    assert result.loss == []
    for left, right in zip(
        load_causal_lm(str(tmp_path / "model"))[0].parameters(),
        load_causal_lm(str(tiny_generator))[0].parameters(),
        strict=True,
    ):
        torch.testing.assert_close(left, right)


def test_examples_go_with_the_generator(tiny_generator: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    """They are drawn once and lie in its folder, from which sampling, improvement and serving take them."""
    values = prompted(template="{document} query :").model_dump()
    values["prompt"]["examples"] = {"per_prompt": 2, "query_types": ["labelled", "title"]}
    settings = PromptedSettings.model_validate(values)
    compute = Compute(device="cpu", bf16=False, seed=1, scratch=tmp_path / "scratch")
    changed = SETTINGS.model_copy(update={"epochs": 1.0})
    fine_tune_on_pairs(corpus, pairs, [], tmp_path / "model", changed, base=str(tiny_generator), prompted=settings, compute=compute)
    examples = read_examples(tmp_path / "model")
    assert examples == draw_examples(settings, pairs, {document.doc_id: document.text for document in corpus}, seed=1)
    assert [len(examples.by_type[name]) for name in ("labelled", "title")] == [3, 2]
    assert QueryPrompts.read(tmp_path / "model", None).shape == PromptShape(template="{document} query :", document_tokens=16)  # type: ignore[arg-type]
    fine_tune_on_pairs(corpus, [], [], tmp_path / "none", SETTINGS, base=str(tiny_generator), prompted=settings, compute=compute)
    assert read_examples(tmp_path / "none").types == ["title"]
