"""What a model's tokenizer and generation config lack is settled when it is loaded, not found after it was trained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from tandem.llm.causal_lm import load_causal_lm, save_causal_lm


def saved(tiny_generator: Path, tiny_tokenizer: Any, folder: Path, **tokens: Any) -> Path:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    for name, value in tokens.items():
        setattr(tokenizer, name, value)
    AutoModelForCausalLM.from_pretrained(tiny_generator).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pad", [None, "</s>"])
def test_the_unknown_token_is_the_end_token(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path, pad: str | None) -> None:
    """GPT-2, Pythia and SmolLM: pad, unknown and end token were one, and PPO refused the policy after everything before it had run."""
    folder = saved(tiny_generator, tiny_tokenizer, tmp_path / "gpt", unk_token="</s>", pad_token=pad)
    model, tokenizer = load_causal_lm(str(folder))
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert tokenizer.pad_token_id == model.config.pad_token_id == model.generation_config.pad_token_id
    assert model.get_input_embeddings().weight.shape[0] >= len(tokenizer)
    save_causal_lm(model, tokenizer, tmp_path / "again")
    assert load_causal_lm(str(tmp_path / "again"))[1].pad_token_id == tokenizer.pad_token_id


def test_a_padded_vocabulary_is_not_cut(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> None:
    """Qwen's embeddings have more rows than its tokenizer has tokens."""
    model = AutoModelForCausalLM.from_pretrained(tiny_generator)
    model.resize_token_embeddings(len(tiny_tokenizer) + 56, mean_resizing=False)
    model.save_pretrained(tmp_path / "wide")
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.pad_token = "</s>"
    tokenizer.save_pretrained(tmp_path / "wide")
    loaded, _ = load_causal_lm(str(tmp_path / "wide"))
    assert loaded.get_input_embeddings().weight.shape[0] == len(tiny_tokenizer) + 56


def test_a_generation_config_that_transformers_refuses(tiny_generator: Path, tmp_path: Path, tiny_tokenizer: Any) -> None:
    folder = saved(tiny_generator, tiny_tokenizer, tmp_path / "greedy")
    bad = GenerationConfig(do_sample=False, eos_token_id=[2, 5])
    (folder / "generation_config.json").write_text(
        bad.to_json_string().replace('"do_sample": false', '"do_sample": false, "temperature": 0.2')
    )
    model, tokenizer = load_causal_lm(str(folder))
    assert model.generation_config.temperature in (None, 1.0)
    save_causal_lm(model, tokenizer, tmp_path / "again")
    assert set(load_causal_lm(str(tmp_path / "again"))[0].generation_config.eos_token_id) == {2, 5}


def test_no_end_token_is_refused_in_a_line(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> None:
    folder = saved(tiny_generator, tiny_tokenizer, tmp_path / "endless", eos_token=None)
    with pytest.raises(ValueError, match=r"endless: its tokenizer has no end token, and a query must end; set eos_token"):
        load_causal_lm(str(folder))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_master_weights_are_float32(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path, dtype: torch.dtype) -> None:
    """B4: a model that was saved in half precision is trained, and saved, in float32."""
    AutoModelForCausalLM.from_pretrained(tiny_generator, dtype=dtype).save_pretrained(tmp_path / "half")
    tiny_tokenizer.save_pretrained(tmp_path / "half")
    model, tokenizer = load_causal_lm(str(tmp_path / "half"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    save_causal_lm(model, tokenizer, tmp_path / "whole")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype="auto").dtype == torch.float32
