"""The policy of PPO: its log-probabilities, its reference, what it refuses."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from tandem.generators.policy import Policy
from tandem.llm.causal_lm import load_causal_lm
from tandem.runtime.lora import Lora

PROMPTS = ["Document: sort\nQuery:", "Document: sort the rows of a table\nQuery:"]


def policy(folder: Path, temperature: float = 1.0) -> Policy:
    return Policy(*load_causal_lm(str(folder)), lora=Lora(rank=8, alpha=16), temperature=temperature)


def test_log_probs_are_of_the_sampling_distribution(tiny_generator: Path) -> None:
    """A batch padded on the left has the log-probabilities that each row has alone, at the temperature of sampling."""
    sampler = policy(tiny_generator, temperature=0.5)
    torch.manual_seed(1)
    written = sampler.respond(PROMPTS, max_new_tokens=6)
    with torch.no_grad():
        log_probs = sampler.evaluate(written.ids, written.attention, written.prompt_tokens).log_probs
    for i, prompt in enumerate(PROMPTS):
        ids = sampler.tokenizer(prompt)["input_ids"]
        length = int(written.mask[i].sum())
        response = written.ids[i, written.prompt_tokens :][:length]
        with torch.no_grad():
            logits = sampler.model(torch.tensor([[*ids, *response.tolist()]])).logits[0, len(ids) - 1 : -1] / 0.5
        alone = logits.log_softmax(-1).gather(1, response.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(log_probs[i, :length], alone, atol=1e-4, rtol=1e-4)


def test_the_reference_is_what_it_was_before_training(tiny_generator: Path) -> None:
    trained = policy(tiny_generator)
    torch.manual_seed(1)
    written = trained.respond(PROMPTS, max_new_tokens=4)
    with torch.no_grad():
        before = trained.evaluate(written.ids, written.attention, written.prompt_tokens).log_probs
        for parameter in trained.trained_parameters():
            parameter.add_(0.1)
        after = trained.evaluate(written.ids, written.attention, written.prompt_tokens).log_probs
        reference = trained.reference_log_probs(written.ids, written.attention, written.prompt_tokens)
    torch.testing.assert_close(reference, before)
    assert float((after - before).abs().max()) > 0.01


def test_a_response_counts_up_to_its_end(tiny_generator: Path) -> None:
    sampler = policy(tiny_generator)
    torch.manual_seed(3)
    written = sampler.respond(PROMPTS * 20, max_new_tokens=8)
    end = sampler.tokenizer.eos_token_id
    assert 0 < int(written.ended.sum()) < 40
    responses = written.ids[:, written.prompt_tokens :].tolist()
    for row, mask, ended in zip(responses, written.mask.tolist(), written.ended.tolist(), strict=True):
        length = row.index(end) + 1 if ended else len(row)
        assert mask == [1.0] * length + [0.0] * (len(row) - length)


def test_pad_and_end_token_must_differ(tiny_generator: Path) -> None:
    model, tokenizer = load_causal_lm(str(tiny_generator))
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = tokenizer.eos_token
    with pytest.raises(ValueError, match="pad token is its end token"):
        Policy(model, tokenizer, lora=Lora(rank=2, alpha=4), temperature=1.0)
