"""Decoding gives what transformers' own `generate` gives, draws from the distribution it says, and shares beginnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.interfaces import SamplingSettings
from tandem.llm.causal_lm import load_causal_lm
from tandem.llm.decoding import decode, draw, end_tokens, shared_beginnings, uniform_numbers

GREEDY: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "top_k": 0}
LONG = "document : sort the rows of a table in ascending order of the values of one column . keywords : "


@pytest.fixture(scope="module")
def generator(tiny_generator: Path) -> tuple[Any, Any]:
    model, tokenizer = load_causal_lm(str(tiny_generator))
    return model.eval(), tokenizer


def greedy(model: Any, tokenizer: Any, prompts: list[list[int]], tokens: int) -> list[list[int]]:
    output = decode(model, prompts, SamplingSettings(**{**GREEDY, "max_new_tokens": tokens}), pad_token_id=tokenizer.pad_token_id)
    return [strip(row, tokenizer.pad_token_id) for row in output.tolist()]


def strip(row: list[int], pad: int) -> list[int]:
    while row and row[-1] == pad:
        row = row[:-1]
    return row


@pytest.mark.parity
@pytest.mark.parametrize("early_end", [False, True])
def test_greedy_is_what_generate_gives(generator: tuple[Any, Any], early_end: bool) -> None:
    """Prompts of many lengths, some with a common beginning; with a frequent token declared an end, rows drop out on the way."""
    model, tokenizer = generator
    texts = [LONG + words + " query :" for words in ("table", "rows , order", "column")]
    texts += ["document : mean query :", "draw", LONG.replace("sort", "solve") + "the query :"]
    prompts = tokenizer(texts)["input_ids"]
    assert shared_beginnings(prompts)[0][0] == 3
    ends = model.generation_config.eos_token_id
    try:
        if early_end:
            first = greedy(model, tokenizer, prompts, 12)
            model.generation_config.eos_token_id = [*ends, first[0][2], first[4][1]]
        expected = []
        for prompt in prompts:  # one by one: no padding, nothing shared
            ids = torch.tensor([prompt])
            output = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, pad_token_id=tokenizer.pad_token_id
            )
            expected.append(output[0, len(prompt) :].tolist())
        found = greedy(model, tokenizer, prompts, 12)
        assert found == expected
        assert early_end == (min(len(row) for row in found) <= 3)
    finally:
        model.generation_config.eos_token_id = ends


def test_the_end_token_of_training_always_ends(generator: tuple[Any, Any]) -> None:
    model, tokenizer = generator
    assert tokenizer.eos_token_id in end_tokens(model).tolist()


def test_beginnings() -> None:
    assert shared_beginnings([[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 9, 9], [7]]) == [(3, 2), (1, 0)]
    assert shared_beginnings([[1, 2, 3, 4], [1, 9, 9, 9]]) == [(1, 3), (1, 3)]
    assert shared_beginnings([[1, 2], [1, 2]]) == [(2, 1)]  # the last token stays each one's own


def frequencies(tokens: torch.Tensor, vocabulary: int) -> torch.Tensor:
    return torch.bincount(tokens, minlength=vocabulary) / len(tokens)


def test_draws_follow_the_distribution() -> None:
    """Probabilities .5 .3 .15 .05; standard error of a frequency over 40,000 draws is at most .0025."""
    probabilities = torch.tensor([0.15, 0.5, 0.05, 0.3])
    logits = probabilities.log().expand(40_000, -1)
    numbers = torch.rand(40_000, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    seeded: dict[str, Any] = {"uniform": numbers}
    plain = draw(logits, temperature=1.0, top_k=0, top_p=1.0, **seeded)
    torch.testing.assert_close(frequencies(plain, 4), probabilities, atol=0.01, rtol=0)
    squared = draw(logits, temperature=0.5, top_k=0, top_p=1.0, **seeded)
    torch.testing.assert_close(frequencies(squared, 4), probabilities**2 / (probabilities**2).sum(), atol=0.01, rtol=0)
    two = draw(logits, temperature=1.0, top_k=2, top_p=1.0, **seeded)
    torch.testing.assert_close(frequencies(two, 4), torch.tensor([0, 0.625, 0, 0.375]), atol=0.01, rtol=0)
    nucleus = draw(logits, temperature=1.0, top_k=0, top_p=0.9, **seeded)  # .5 + .3 < .9, so the third is in, the fourth is not
    torch.testing.assert_close(frequencies(nucleus, 4), torch.tensor([0.15, 0.5, 0, 0.3]) / 0.95, atol=0.01, rtol=0)
    assert draw(logits[:3], temperature=0, top_k=0, top_p=1.0).tolist() == [1, 1, 1]
    assert draw(logits[:3], temperature=1.0, top_k=0, top_p=0.1).tolist() == [1, 1, 1]


def test_a_row_s_draws_are_its_own(generator: tuple[Any, Any]) -> None:
    """The same prompt and seed give the same response in any batch, and another seed another one."""
    model, tokenizer = generator
    prompts = tokenizer(["document : mean query :", "draw", LONG + "query :"])["input_ids"]
    sampling = SamplingSettings(temperature=1.0, top_k=20, top_p=0.9, max_new_tokens=8)
    settings: dict[str, Any] = {"pad_token_id": tokenizer.pad_token_id}
    together = [strip(row, tokenizer.pad_token_id) for row in decode(model, prompts, sampling, seeds=[5, 6, 7], **settings).tolist()]
    for prompt, seed, expected in zip(prompts, (5, 6, 7), together, strict=True):
        assert strip(decode(model, [prompt], sampling, seeds=[seed], **settings)[0].tolist(), tokenizer.pad_token_id) == expected
    assert decode(model, prompts[:1], sampling, seeds=[8], **settings)[0].tolist() != together[0]
    assert torch.equal(uniform_numbers([3, 4], 5)[1], uniform_numbers([4], 9)[0, :5])
