"""The generator that ships: loads offline, is what its card says, and knows nothing of the quickstart's queries by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tandem.generators.base import BUILTIN, load_generator
from tandem.generators.prompts import DEFAULT_TEMPLATE, clean_query, render_prompts
from tandem.generators.sampling import sample_queries

CARD = (BUILTIN / "README.md").read_text()


def test_the_digest_is_the_card_s() -> None:
    digest = hashlib.sha256((BUILTIN / "model.safetensors").read_bytes()).hexdigest()
    assert digest in CARD


def test_the_size_is_within_budget() -> None:
    assert sum(path.stat().st_size for path in BUILTIN.iterdir()) <= 16 * 2**20


def test_it_writes_about_the_document_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model, tokenizer = load_generator("builtin")
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    documents = {
        "kettle": "The kettle boils the water until its temperature sensor reports one hundred degrees, then switches the heater off.",
        "violin": "Tunes the strings of a violin by comparing the frequency of each string with that of a reference pitch.",
    }
    words = {"kettle": "kettle, water", "violin": "violin, strings"}
    prompts = render_prompts(
        list(documents.values()), list(words.values()), tokenizer, template=DEFAULT_TEMPLATE, maximum_document_tokens=64
    )
    settings = {"batch_size": 2, "temperature": 0.0, "top_p": 1.0, "maximum_new_tokens": 24, "seed": 1}
    ((batch),) = sample_queries(model, tokenizer, dict(zip(documents, prompts, strict=True)), **settings)  # type: ignore[arg-type]
    written = {key: clean_query(text) for key, text in batch}
    assert all(3 <= len(text.split()) <= 20 for text in written.values()), written
    assert any(word in written["kettle"] for word in ("kettle", "water", "temperature", "heater")), written
    assert any(word in written["violin"] for word in ("violin", "string", "frequency", "pitch")), written


def test_it_is_package_data() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert "generators/builtin/*" in project
