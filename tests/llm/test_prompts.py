"""Texts are cut in their own characters, on either side, and a character of several tokens stays whole."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.llm.prompts import Side, cut_texts, truncate_documents
from tandem.llm.served import Words


@pytest.mark.parametrize(
    ("side", "limit", "expected"),
    [("right", 2, "One\n two"), ("left", 2, "two  THREE "), ("right", 3, "One\n two  THREE "), ("left", 1, "THREE ")],
)
def test_either_side(side: Side, limit: int, expected: str) -> None:
    words: Any = Words()
    assert cut_texts(["One\n two  THREE "], words, limit, side=side) == [expected]
    assert cut_texts([], words, limit, side=side) == []


def test_a_character_of_several_tokens_stays_whole() -> None:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(["ab"], vocab_size=260)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer)
    assert len(tokenizer("🦜")["input_ids"]) == 4
    assert cut_texts(["c🦜d"], tokenizer, 3, side="right") == ["c🦜"]
    assert cut_texts(["c🦜d"], tokenizer, 2, side="left") == ["🦜d"]
    assert truncate_documents(["c\n 🦜d"], tokenizer, 3) == ["c 🦜"]
