"""An encoder saved in half precision is trained, and saved, with float32 weights: a small step changes them all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS
from makers import retriever_settings
from safetensors.torch import load_file, save_file

from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.retrievers.retriever import build_retriever, save_retriever


def halve(folder: Path, target: Path, dtype: torch.dtype) -> Path:
    """A copy of a model folder whose weights and configuration are of another type, and their float32 values beside it."""
    for name, kind in (("half", dtype), ("whole", torch.float32)):
        shutil.copytree(folder, target / name)
        weights = load_file(folder / "model.safetensors")
        rounded = {key: value.to(dtype).to(kind) for key, value in weights.items()}
        save_file(rounded, target / name / "model.safetensors", {"format": "pt"})
        config = target / name / "config.json"
        config.write_text(config.read_text().replace('"dtype": "float32"', f'"dtype": "{str(kind).removeprefix("torch.")}"'))
    return target


def retriever(kind: Any) -> Callable[[str], Any]:
    return lambda folder: build_retriever(retriever_settings(folder, kind=kind), seed=1, device="cpu")


def reranker(kind: Any) -> Callable[[str], Any]:
    form = PairFormat(kind=kind, max_length=32, max_query_length=16)
    return lambda folder: Reranker(folder, form, new_head=True, seed=1).model


LOADERS = {
    "colbert": retriever("colbert"),
    "dense": retriever("dense"),
    "encoder": reranker("encoder"),
    "similarity": reranker("similarity"),
}


def score(model: Any, name: str) -> torch.Tensor:
    if name in ("encoder", "similarity"):
        features = model[0].preprocess([(QUERIES[key], TEXTS[key]) for key in QUERIES])
        return model[0](features)["scores"].sum()  # type: ignore[no-any-return]
    features = model.preprocess(list(TEXTS.values()), task="document")
    outputs = model(features, task="document")
    return outputs["token_embeddings" if name == "colbert" else "sentence_embedding"].float().pow(3).sum()  # type: ignore[no-any-return]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("name", LOADERS)
def test_a_small_step_changes_every_weight(
    tiny_encoder: Path, tiny_cross_encoder: Path, tmp_path: Path, name: str, dtype: torch.dtype
) -> None:
    source = tiny_cross_encoder if name in ("encoder", "similarity") else tiny_encoder
    folders = halve(source, tmp_path / "copies", dtype)
    changed = {}
    for which in ("half", "whole"):
        model = LOADERS[name](str(folders / which)).eval()
        assert {value.dtype for value in model.parameters()} == {torch.float32}
        before = {key: value.detach().clone() for key, value in model.named_parameters()}
        optimiser = torch.optim.AdamW(model.parameters(), lr=2e-5)
        score(model, name).backward()
        optimiser.step()
        changed[which] = {key: value.detach() - before[key] for key, value in model.named_parameters()}
    for key, value in changed["half"].items():
        torch.testing.assert_close(value, changed["whole"][key], rtol=0, atol=0)
    moved = sum(int((value != 0).sum()) for value in changed["half"].values())
    alive = sum(int((value != 0).sum()) for value in changed["whole"].values())
    assert moved == alive > 10_000


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_what_is_saved_is_float32(tiny_encoder: Path, tmp_path: Path, kind: Any) -> None:
    model = LOADERS[kind](str(halve(tiny_encoder, tmp_path / "copies", torch.bfloat16) / "half"))
    save_retriever(model, tmp_path / "saved")
    files = list((tmp_path / "saved").rglob("*.safetensors"))
    assert len(files) == (2 if kind == "colbert" else 1)
    assert {value.dtype for file in files for value in load_file(file).values()} == {torch.float32}
