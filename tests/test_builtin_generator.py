"""The generator that ships: loads offline, is what its card says, and knows nothing of the quickstart's queries by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tandem.filters.round_trip import document_ranks
from tandem.generators.prompts import DEFAULT_TEMPLATE, render_prompts
from tandem.interfaces import SamplingSettings
from tandem.llm.causal_lm import BUILTIN, CausalLM
from tandem.llm.parsing import clean_query
from tandem.retrievers.bm25 import BM25Index

CARD = (BUILTIN / "README.md").read_text()


def test_the_digest_is_the_card_s() -> None:
    digest = hashlib.sha256((BUILTIN / "model.safetensors").read_bytes()).hexdigest()
    assert digest in CARD


def test_the_size_is_within_budget() -> None:
    assert sum(path.stat().st_size for path in BUILTIN.iterdir()) <= 16 * 2**20


DOCSTRINGS = {
    "sort": ("The rows are ordered by the values of one or more columns. Missing values are put at the end.", "rows, columns"),
    "matrix": ("Computes the inverse of a square matrix with the LU decomposition. A singular matrix is an error.", "inverse, matrix"),
    "archive": ("Opens the archive at the given path and extracts every member into the target directory.", "archive, extracts"),
    "date": ("Parses a date string in ISO format and returns a datetime with its time zone.", "date, string"),
    "image": ("Resizes the image to the given width and height with bilinear interpolation.", "image, width"),
    "request": ("Sends an HTTP request to the server and waits for its response, following redirects.", "request, server"),
    "cluster": ("Groups the samples so that the distance of each to the centre of its cluster is smallest.", "clusters, samples"),
    "token": ("Splits the text into tokens at white space and punctuation. Tokens are lower cased.", "tokens, text"),
}


def test_most_of_its_queries_find_the_docstring_that_they_were_written_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = CausalLM.load("builtin", batch_size=len(DOCSTRINGS))
    tokenizer = model.tokenizer
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    texts, words = zip(*DOCSTRINGS.values(), strict=True)
    prompts = render_prompts(texts, words, tokenizer, template=DEFAULT_TEMPLATE, max_document_tokens=64)
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=24)
    completions = model.complete(prompts, sampling, seed=1)
    written = {key: clean_query(completion.text) for key, completion in zip(DOCSTRINGS, completions, strict=True)}
    asked = {f"q-{key}": text for key, text in written.items()}  # a query of a document's own id would not find that document
    run = BM25Index(dict(zip(DOCSTRINGS, texts, strict=True))).search(asked, depth=len(DOCSTRINGS))
    ranks = document_ranks({f"q-{key}": key for key in written}, run, {key: number for number, key in enumerate(DOCSTRINGS)})
    assert sum(rank == 1 for rank, _ in ranks.values()) >= 6, written


def test_it_is_package_data() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert "generators/builtin/*" in project
