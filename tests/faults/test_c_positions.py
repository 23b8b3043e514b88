"""An encoder with fewer positions than asked for is refused when it is loaded, by the setting that asked."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import set_values
from makers import compute_in, contrastive_settings, retriever_settings
from ruamel.yaml import YAML

from tandem.formats.jsonl import write_records
from tandem.records import Document, LabelledPair
from tandem.retrievers.baselines import BaselineSettings, build_baselines
from tandem.retrievers.bm25 import BM25Settings
from tandem.retrievers.dense import load_dense
from tandem.retrievers.retriever import Lexical, build_retriever
from tandem.retrievers.training.filter_encoder import FilterEncoderSettings, train_filter_encoder
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import train_retriever
from tandem.runtime.encoders import longest_text
from tandem.runtime.params import ParamsError
from tandem.settings import SettingError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("kind", "key"), [("colbert", "query_tokens"), ("colbert", "document_tokens"), ("dense", "document_tokens")])
def test_retrievers(tiny_encoder: Path, kind: Any, key: str) -> None:
    build_retriever(retriever_settings(tiny_encoder, kind=kind, document_tokens=256), seed=1, device="cpu")
    settings = retriever_settings(tiny_encoder, kind=kind, **{key: 257})
    with pytest.raises(SettingError, match=rf"^{key}: 257 found, at most 256 allowed") as error:
        build_retriever(settings, seed=1, device="cpu")
    assert error.value.settings is settings


def test_the_filter_and_the_baseline(tiny_encoder: Path, corpus: list[Document], tmp_path: Path) -> None:
    values: dict[str, Any] = {**dict(contrastive_settings()), "evaluations": 1, "dev_documents": 2}
    settings = FilterEncoderSettings(encoder=str(tiny_encoder), layers=None, max_length=300, prompts=None, **values)
    with pytest.raises(SettingError, match=r"^max_length: 300 found, at most 256 allowed") as error:
        train_filter_encoder(corpus, [], [], tmp_path / "model", settings, measure=lambda *_: [], compute=compute_in(tmp_path))
    assert error.value.settings is settings
    baseline, start = BaselineSettings(dense_max_length=300), retriever_settings(tiny_encoder)
    with pytest.raises(SettingError, match=r"^dense_max_length: 300 found") as error:
        build_baselines(Lexical(BM25Settings(), "english"), baseline, start, seed=1, device="cpu")
    assert error.value.settings is baseline


def test_the_training_length(tiny_encoder: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    model = build_retriever(retriever_settings(tiny_encoder, document_tokens=256), seed=1, device="cpu")
    data, settings = TrainingData([(pair.text, pair.doc_id) for pair in pairs], corpus), contrastive_settings(steps=1, negatives=0)
    more: dict[str, Any] = {"evaluations": 1, "dev_score": lambda _: [0.0], "compute": compute_in(tmp_path)}
    with pytest.raises(SettingError, match=r"^training_document_tokens: 400 found, at most 256 allowed"):
        train_retriever(model, data, settings, **more, document_tokens=400)


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


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("train_filter_encoder", {"train_filter_encoder": {"max_length": 300}}, "train_filter_encoder.max_length: 300 found, at most 256"),
        ("train_filter_encoder", {"train_filter_encoder": {"layers": 3}}, "train_filter_encoder.layers: 3 found, 1 to 2 allowed"),
        ("train_filter_encoder", {"train_filter_encoder": {"negatives": 9}}, "train_filter_encoder.negatives: 9 found, the corpus has"),
        ("build_baselines", {"build_baselines": {"dense_max_length": 300}}, "build_baselines.dense_max_length: 300 found, at most 256"),
        ("build_baselines", {"retriever": {"query_tokens": 257}}, "retriever.query_tokens: 257 found, at most 256 allowed"),
    ],
)
def test_a_stage_names_file_and_key(
    section: str,
    changes: dict[str, Any],
    message: str,
    tiny_encoder: Path,
    corpus: list[Document],
    pairs: list[LabelledPair],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_records(Path("corpus.jsonl"), corpus)
    write_records(Path("pairs.jsonl"), pairs)
    content = YAML().load((ROOT / "params.yaml").read_text())
    small = {"layers": None, "dimensions": 16, "document_tokens": 12}
    set_values(
        content, {"retriever": small, "train_filter_encoder": {"steps": 1, "batch_size": 2}, "build_baselines": {"dense_max_length": 12}}
    )
    content["retriever"]["encoder"] = content["train_filter_encoder"]["encoder"] = str(tiny_encoder)
    set_values(content, changes)
    YAML().dump(content, Path("params.yaml"))
    flags = {
        "train_filter_encoder": "--corpus corpus.jsonl --train pairs.jsonl --dev pairs.jsonl --model model",
        "build_baselines": "--bm25 bm25 --dense dense --colbert colbert",
    }
    with pytest.raises(ParamsError, match=f"^{re.escape(f'params.yaml: {message}')}"):
        importlib.import_module(f"stages.{section}").main([*flags[section].split(), "--record", "record.json"])
    assert not Path("record.json").exists()
