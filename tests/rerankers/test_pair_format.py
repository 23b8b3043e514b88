"""Pairs as tokens: an encoder's are its tokenizer's, a decoder's format is never cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rerankers.forms import DECODER
from tandem.rerankers.pair_format import PairFormat, encode_pairs
from tandem.rerankers.pair_scorer import load_scorer
from tandem.runtime.encoders import resolve_encoder


@pytest.mark.parity
def test_encoder_pairs_are_the_tokenizer_s_own() -> None:
    """all-MiniLM-L6-v2's tokenizer, documents cut, token types included: what ``tokenizer(query, document)`` gives."""
    tokenizer = load_scorer(resolve_encoder("builtin"), PairFormat(kind="encoder"), new_head=True).tokenizer
    pairs = [("a short query", "word " * 100), ("another one, a little longer", "a short document")]
    ours = encode_pairs(tokenizer, pairs, PairFormat(kind="encoder", max_length=32))
    queries, documents = zip(*pairs, strict=True)
    theirs = tokenizer(
        list(queries),
        list(documents),
        truncation="only_second",
        max_length=32,
        padding="longest",
        padding_side="right",
        return_tensors="pt",
    )
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def test_the_document_is_cut_and_the_format_is_not(tiny_tokenizer: Any) -> None:
    form = PairFormat(kind="head", max_length=24, max_query_length=6, **DECODER)
    batch = encode_pairs(tiny_tokenizer, [("order a table by a column of the table", "sort " * 50)], form)
    ids = batch["input_ids"][0].tolist()
    assert len(ids) == 24
    expected = ["<s>", *"query : order a table by , document :".split(), *["sort"] * 13, "."]  # noqa: SIM905
    assert tiny_tokenizer.decode(ids).split() == expected
    with pytest.raises(ValueError, match="max_query_length"):
        encode_pairs(tiny_tokenizer, [("a " * 20, "b")], PairFormat(kind="head", max_length=16, **DECODER))
