"""The policy of PPO: its log-probabilities, its reference, what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tandem.generators.policy import Policy
from tandem.llm.causal_lm import load_causal_lm
from tandem.runtime.lora import Lora

PROMPTS = ["Document: sort\nQuery:", "Document: sort the rows of a table\nQuery:"]


def policy(folder: Path, temperature: float = 1.0) -> Policy:
    return Policy(*load_causal_lm(str(folder)), lora=Lora(rank=8, alpha=16), temperature=temperature)


@contextmanager
def count_tokens(sampler: Policy) -> Iterator[list[int]]:
    """How many tokens each forward pass reads."""
    tokens: list[int] = []
    hook = sampler.model.register_forward_pre_hook(lambda _, __, named: tokens.append(named["input_ids"].numel()), with_kwargs=True)
    yield tokens
    hook.remove()


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


BEGINNING = "Document: sort the rows of a table\nQuery: order a table by a column\n\n" * 2
THREE = [*PROMPTS, "Document: mean of all numbers in the array\nQuery:"]


@pytest.mark.parametrize(
    ("prompts", "share"),
    [
        ([f"{BEGINNING}{prompt}" for prompt in THREE], 0.7),
        ([prompt for prompt in THREE for _ in range(4)], 0.6),
        ([f"{BEGINNING}{prompt}" for prompt in THREE for _ in range(2)], 0.5),
        ([THREE[1]] * 5, 0.7),
    ],
    ids=["behind examples", "several responses to a prompt", "both", "one prompt"],
)
def test_what_rows_have_in_common_is_read_once(
    tiny_generator: Path, monkeypatch: pytest.MonkeyPatch, prompts: list[str], share: float
) -> None:
    """The same log-probabilities, values, entropies and gradients as where each row is read whole."""
    sampler = policy(tiny_generator)
    for seed, parameter in enumerate(sampler.trained_parameters()):
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(1)
    written = sampler.respond(prompts, max_new_tokens=6)
    results = []
    for apart in (False, True):
        with monkeypatch.context() as patch, count_tokens(sampler) as tokens:
            if apart:
                patch.setattr(Policy, "_read_once", lambda *_: (None, 0))
            now = sampler.evaluate(written.ids, written.attention, written.prompt_tokens)
        for parameter in sampler.trained_parameters():
            parameter.grad = None
        ((now.log_probs * written.mask).sum() + (now.values * written.mask).sum()).backward()
        results.append((sum(tokens), now, [parameter.grad for parameter in sampler.trained_parameters()]))
    (few, shared, gradients), (many, whole, expected) = results
    assert few < share * many
    torch.testing.assert_close(shared.log_probs, whole.log_probs, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shared.values, whole.values, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shared.entropy(), whole.entropy(), atol=1e-5, rtol=1e-4)
    assert all(float(gradient.abs().sum()) > 0 for gradient in gradients)
    for left, right in zip(gradients, expected, strict=True):
        torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-3)


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
