"""Rewards, samples and LLM rerankers depend on nothing else in the batch, nor on the side of padding: absolute and rotary positions."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS, prompted

from tandem.generators.reward_model import load_reward_model
from tandem.generators.rewards import ModelReward
from tandem.interfaces import SamplingSettings
from tandem.llm.causal_lm import load_causal_lm, save_causal_lm
from tandem.llm.decoding import decode
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker


@pytest.fixture(params=["rotary", "absolute"])
def generator(request: pytest.FixtureRequest, tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> Path:
    if request.param == "rotary":
        return tiny_generator
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = GPT2Config(vocab_size=len(tiny_tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=256, initializer_range=0.2, **ids)
    model = GPT2LMHeadModel(config)
    save_causal_lm(model, copy.deepcopy(tiny_tokenizer), tmp_path / "gpt2")
    return tmp_path / "gpt2"


@pytest.mark.parametrize("side", ["left", "right"])
def test_rewards(generator: Path, side: str) -> None:
    _, tokenizer = load_causal_lm(str(generator))
    tokenizer.padding_side = side
    torch.manual_seed(1)
    model = load_reward_model(str(generator), tokenizer, new_head=True)
    documents, queries = {"a": TEXTS["sort"], "b": "plot", "c": TEXTS["solve"] * 3}, ["plot", QUERIES["solve"], "sort a table"]
    reward = ModelReward(model, tokenizer, documents, prompted(document_tokens=40, template="{document}:").prompt)
    together = reward(queries, list(documents))
    alone = [reward([query], [doc_id])[0] for doc_id, query in zip(documents, queries, strict=True)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len({round(value, 4) for value in alone}) == 3


def test_samples(generator: Path) -> None:
    model, tokenizer = load_causal_lm(str(generator))
    prompts = tokenizer(["sort", TEXTS["solve"], TEXTS["join"]])["input_ids"]
    greedy = SamplingSettings(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=6)
    together = decode(model, prompts, greedy, pad_token_id=tokenizer.pad_token_id)
    for row, prompt in zip(together, prompts, strict=True):
        alone = decode(model, [prompt], greedy, pad_token_id=tokenizer.pad_token_id)[0]
        kept = row[: len(alone)]
        assert kept.tolist() == alone.tolist()


@pytest.mark.parametrize("kind", ["head", "yes_no"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_llm_rerankers(generator: Path, tmp_path: Path, kind: Any, side: str) -> None:
    model, tokenizer = load_causal_lm(str(generator))
    tokenizer.padding_side = side
    save_causal_lm(model, tokenizer, tmp_path / side)
    form = PairFormat(kind=kind, max_length=64, max_query_length=16, yes="table", no="line", marker="query")
    reranker = Reranker(str(tmp_path / side), form, new_head=True, seed=1)
    pairs = [(QUERIES["sort"], TEXTS["sort"]), ("plot", "plot"), (QUERIES["join"], TEXTS["solve"] * 2)]
    together = reranker.compute_score(pairs, batch_size=3)
    assert together == pytest.approx([reranker.compute_score([pair])[0] for pair in pairs], abs=1e-5)
