"""Likelihoods are those of one whole forward pass a pair, alone or beside others, and no token straddles prompt and completion."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS

from tandem.interfaces import LogLikelihood
from tandem.llm import likelihood
from tandem.llm.causal_lm import CausalLM, save_causal_lm
from tandem.llm.likelihood import split_tokens


@pytest.fixture(params=["rotary", "absolute"])
def model(request: pytest.FixtureRequest, tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> CausalLM:
    if request.param == "absolute":
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(0)
        ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        config = GPT2Config(vocab_size=len(tiny_tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=512, initializer_range=0.2, **ids)
        save_causal_lm(GPT2LMHeadModel(config), copy.deepcopy(tiny_tokenizer), tmp_path / "gpt2")
        return CausalLM.load(str(tmp_path / "gpt2"), batch_size=5)
    return CausalLM.load(str(tiny_generator), batch_size=5)


EXAMPLES = "".join(f"document : {text} query : {QUERIES[name]} the values of the table .\n\n" for name, text in TEXTS.items())
PROMPTS = [f"document : {text} query :" for text in TEXTS.values() for _ in range(3)] + ["draw"]
COMPLETIONS = [f" {QUERIES[list(TEXTS)[i % 6]]}" for i in range(18)] + [" line"]


def one_by_one(model: CausalLM, prompt: str, completion: str) -> LogLikelihood:
    """Of one forward pass over prompt and completion, without cache, padding or neighbours."""
    (before,), (after,) = split_tokens([prompt], [completion], model.tokenizer)
    with torch.inference_mode():
        logits = model.model(torch.tensor([before + after])).logits[0]
    log_probs = logits.log_softmax(-1)[len(before) - 1 : -1]
    return LogLikelihood(sum(log_probs[i, token].item() for i, token in enumerate(after)), len(after))


@pytest.mark.parity
@pytest.mark.parametrize("beginning", ["", EXAMPLES])
def test_it_is_that_of_one_forward_pass(model: CausalLM, beginning: str) -> None:
    prompts = [beginning + prompt for prompt in PROMPTS]
    together = model.log_likelihood(prompts, COMPLETIONS)
    expected = [one_by_one(model, prompt, completion) for prompt, completion in zip(prompts, COMPLETIONS, strict=True)]
    assert [value.tokens for value in together] == [value.tokens for value in expected]
    assert [value.total for value in together] == pytest.approx([value.total for value in expected], abs=1e-3)
    assert together[0].mean == together[0].total / together[0].tokens < 0
    alone = [model.log_likelihood([prompt], [completion])[0] for prompt, completion in zip(prompts, COMPLETIONS, strict=True)]
    assert [value.total for value in together] == pytest.approx([value.total for value in alone], abs=1e-3)
    assert len({round(value.total, 3) for value in together}) > 12


def test_what_prompts_have_in_common_is_computed_once(model: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    theirs = model.model.forward

    def spy(input_ids: Any = None, **named: Any) -> Any:
        read.append(input_ids.numel())
        return theirs(input_ids=input_ids, **named)

    monkeypatch.setattr(model.model, "forward", spy)
    model.log_likelihood([EXAMPLES + prompt for prompt in PROMPTS], COMPLETIONS)
    shared = len(model.tokenizer(EXAMPLES)["input_ids"])
    rest = sum(len(model.tokenizer(prompt + completion)["input_ids"]) for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True))
    assert sum(read) < shared + 1.3 * rest


def test_a_token_never_straddles_the_border() -> None:
    """A tokenizer that merges across the border: the completion is then read by itself."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "</s>": 1, "a": 2, "b": 3, "c": 4, "ab": 5, "bc": 6}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE(vocabulary, [("a", "b"), ("b", "c")])), pad_token="<pad>", eos_token="</s>"
    )
    assert split_tokens(["ca", "ca"], ["c", "bc"], tokenizer) == ([[4, 2], [4, 2]], [[4], [6]])
    assert tokenizer("cabc")["input_ids"] == [4, 5, 4], "as one text, a token would be of both"
    assert split_tokens(["a"], ["</s>"], tokenizer) == ([[2]], [[1]])
    assert split_tokens([], [], tokenizer) == ([], [])


def test_an_unknown_word_that_goes_on_is_no_token_of_the_prompt(tiny_tokenizer: Any) -> None:
    """As one text, it is the very token that the prompt ends with."""
    known = tiny_tokenizer("table rows", add_special_tokens=False)["input_ids"]
    assert split_tokens(["draw Zürich"], ["table rows"], tiny_tokenizer)[1] == [known]
    assert split_tokens(["draw Zürich"], [" table rows"], tiny_tokenizer)[1] == [known]


def test_no_likelihood_without_a_token(model: CausalLM) -> None:
    with pytest.raises(ValueError, match=r"completion '' found after 'draw': it has no token"):
        model.log_likelihood(["draw"], [""])
    assert model.log_likelihood([], []) == []


def test_batches_are_bounded(model: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    theirs = likelihood._score_batch

    def spy(model: Any, prompts: Any, *rest: Any) -> Any:
        sizes.append(len(prompts))
        return theirs(model, prompts, *rest)

    monkeypatch.setattr(likelihood, "_score_batch", spy)
    model.log_likelihood(PROMPTS, COMPLETIONS)
    assert sizes == [5, 5, 5, 4]
