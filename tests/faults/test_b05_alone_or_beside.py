"""A score or an embedding is the same alone and beside a longer text, whichever side the tokenizer pads on, whatever the positions."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS
from makers import retriever_settings

from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.retrievers.retriever import build_retriever, load_retriever, save_retriever, vectors_of

SHAPE: dict[str, Any] = {"query_tokens": 24, "document_tokens": 60}
LONG = " ".join(TEXTS.values())


@pytest.fixture(params=["absolute", "rotary"])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["left", "right"])
def padded(request: pytest.FixtureRequest, architecture: str, tiny_cross_encoder: Path, tiny_tokenizer: Any, tmp_path: Path) -> Path:
    """A folder of an encoder whose tokenizer pads on one side."""
    from transformers import AutoTokenizer, BertConfig, BertModel, ModernBertConfig, ModernBertModel

    torch.manual_seed(0)
    tokenizer = copy.deepcopy(AutoTokenizer.from_pretrained(tiny_cross_encoder))
    tokenizer.padding_side = request.param
    tokenizer.mask_token = "<unk>"
    size = {"vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    more: dict[str, Any] = {"max_position_embeddings": 128, "initializer_range": 0.4, "pad_token_id": 0}
    if architecture == "absolute":
        model: Any = BertModel(BertConfig(**size, **more))
    else:
        ends = {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
        model = ModernBertModel(ModernBertConfig(**size, **more, **ends, local_attention=16))
    model.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.mark.parametrize("kind", ["colbert", "dense"])
@pytest.mark.parametrize("task", ["query", "document"])
def test_embeddings(padded: Path, kind: Any, task: Any, tmp_path: Path) -> None:
    model = build_retriever(retriever_settings(padded, kind=kind, **SHAPE), seed=1, device="cpu")
    save_retriever(model, tmp_path / "saved")
    for retriever in (model, load_retriever(tmp_path / "saved")):
        for text in (QUERIES["mean"], TEXTS["sort"]):
            (alone,) = vectors_of(retriever, [text], task=task)
            beside = vectors_of(retriever, [LONG, text], task=task)[1]
            torch.testing.assert_close(beside, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["encoder", "similarity"])
@pytest.mark.parametrize(("bf16", "error"), [(False, 1e-4), (True, 0.25)], ids=["fp32", "bf16"])
def test_pairs(padded: Path, kind: Any, bf16: bool, error: float) -> None:
    """In bfloat16 sums of another length are rounded otherwise, by a part of 256; in float32 nothing may be seen."""
    form = PairFormat(kind=kind, max_length=100, max_query_length=24)
    reranker = Reranker(str(padded), form, new_head=True, bf16=bf16, seed=1)
    pair, longer = (QUERIES["mean"], TEXTS["mean"]), (QUERIES["sort"], LONG)
    (alone,) = reranker.compute_score([pair])
    assert reranker.compute_score([longer, pair])[1] == pytest.approx(alone, abs=error)
