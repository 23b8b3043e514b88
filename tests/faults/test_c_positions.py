"""An encoder with fewer positions than asked for is refused when it is loaded, by the key of params.yaml that asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.records import Document, LabelledPair
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.retrievers.bi_encoder import train_bi_encoder
from tandem.retrievers.dense import load_dense
from tandem.retrievers.retriever import build_retriever
from tandem.retrievers.training import train_retriever
from tandem.runtime.encoders import longest_text

SHAPE: dict[str, Any] = {"layers": None, "dimensions": 16, "query_tokens": 8, "document_tokens": 256, "query_expansion": False}


@pytest.mark.parametrize(("kind", "key"), [("colbert", "query_tokens"), ("colbert", "document_tokens"), ("dense", "document_tokens")])
def test_retrievers(tiny_encoder: Path, kind: Any, key: str) -> None:
    rest: dict[str, Any] = {"encoder": str(tiny_encoder), "markers": False, "seed": 1, "device": "cpu"}
    build_retriever(kind, **SHAPE, **rest)
    with pytest.raises(ValueError, match=rf"^retriever\.{key}: 257 found, at most 256 allowed"):
        build_retriever(kind, **{**SHAPE, key: 257}, **rest)


def test_the_filter_and_the_baseline(tiny_encoder: Path, corpus: list[Document], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^train_filter_encoder\.max_length: 300 found, at most 256 allowed"):
        train_bi_encoder(
            corpus,
            [],
            [],
            tmp_path / "model",
            encoder=str(tiny_encoder),
            layers=None,
            max_length=300,
            measure=lambda *_: [],
            dev_documents=2,
            device="cpu",
            seed=1,
        )
    with pytest.raises(ValueError, match=r"^build_baselines\.dense_max_length: 300 found"):
        load_dense(str(tiny_encoder), max_length=300, keys="build_baselines.", length_key="dense_max_length")


def test_the_training_length(tiny_encoder: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    model = build_retriever("colbert", **SHAPE, encoder=str(tiny_encoder), markers=False, seed=1, device="cpu")
    with pytest.raises(ValueError, match=r"^train_retriever\.training_document_tokens: 400 found, at most 256 allowed"):
        train_retriever(
            model,
            [(pair.text, pair.doc_id) for pair in pairs],
            corpus,
            steps=1,
            batch_size=2,
            learning_rate=1e-4,
            warmup_ratio=0.0,
            temperature=1.0,
            negatives=0,
            evaluations=1,
            training_document_tokens=400,
            dev_score=lambda _: [0.0],
            scratch=tmp_path,
            bf16=False,
            seed=1,
        )


def test_rerankers(tiny_cross_encoder: Path, tiny_generator: Path) -> None:
    for folder, kind, limit in ((tiny_cross_encoder, "encoder", 512), (tiny_generator, "head", 256)):
        form = PairFormat(kind=kind, max_length=limit + 1, marker=".")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=rf"^rerankers\.x\.form\.max_length: {limit + 1} found, at most {limit} allowed"):
            Reranker(str(folder), form, new_head=True, keys="rerankers.x.")


def test_positions_that_are_never_used_do_not_count(tiny_tokenizer: Any, tmp_path: Path) -> None:
    """RoBERTa's 66 positions begin behind the padding token's, 1: its longest text has 64 tokens, and is read."""
    from transformers import RobertaConfig, RobertaModel

    size: dict[str, Any] = {"vocab_size": len(tiny_tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    model = RobertaModel(RobertaConfig(**size, num_attention_heads=2, max_position_embeddings=66, pad_token_id=1)).eval()
    assert longest_text(model) == 64
    with torch.no_grad():
        assert model(input_ids=torch.full((1, 64), 5)).last_hidden_state.shape[1] == 64
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        model(input_ids=torch.full((1, 65), 5))
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    assert load_dense(str(tmp_path)).max_seq_length == 64  # where nobody asks for a length, texts are cut to what it reads
    with pytest.raises(ValueError, match="max_length: 65 found, at most 64 allowed"):
        load_dense(str(tmp_path), max_length=65)
