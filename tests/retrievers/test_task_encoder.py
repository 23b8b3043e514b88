"""Encoders of tasks: instructions, lengths, poolings, and what is left of them in a saved folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TEXTS
from makers import task_encoder_settings
from safetensors.torch import load_file

from tandem.retrievers.dense import save_dense
from tandem.retrievers.task_encoder import build_task_encoder, encode_texts, load_task_encoder
from tandem.settings import SettingError

TEXT = list(TEXTS.values())


def reference_vectors(folder: Path, texts: list[str], pooling: str, dense: torch.Tensor | None, *, cosine: bool) -> np.ndarray:
    """Transformers alone, one text at a time, so that nothing is padded."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = []
    for text in texts:
        with torch.no_grad():
            tokens = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        vector = {"cls": tokens[0], "mean": tokens.mean(0), "lasttoken": tokens[-1]}[pooling]
        vector = dense @ vector if dense is not None else vector
        vectors.append((vector / vector.norm() if cosine else vector).numpy())
    return np.stack(vectors)


@pytest.mark.parity
@pytest.mark.parametrize("pooling", ["cls", "mean", "lasttoken"])
@pytest.mark.parametrize(("dense", "similarity"), [(False, "cosine"), (True, "cosine"), (True, "dot")])
def test_a_saved_encoder_has_the_vectors_of_its_parts(
    tiny_encoder: Path, tmp_path: Path, pooling: Any, dense: bool, similarity: Any
) -> None:
    """In the folder are the weights of the linear layer, no other activation, prompts by sentence-transformers' names, and no more."""
    settings = task_encoder_settings(tiny_encoder, pooling=pooling, dense=dense, similarity=similarity, key_tokens=64)
    model = build_task_encoder(settings)
    weight = None
    if dense:
        torch.manual_seed(2)
        weight = torch.randn(32, 32)
        model[2].linear.weight.data = weight.clone()
    before = encode_texts(model, TEXT, "qa", "key")
    save_dense(model, tmp_path / "model")
    loaded = load_task_encoder(tmp_path / "model")
    after = encode_texts(loaded, TEXT, "qa", "key")
    np.testing.assert_allclose(after, before, atol=1e-6)
    expected = reference_vectors(tiny_encoder, [f"table: {text}" for text in TEXT], pooling, weight, cosine=similarity == "cosine")
    np.testing.assert_allclose(after, expected, atol=1e-5)
    by_name = loaded.encode(TEXT, prompt_name="qa_key", show_progress_bar=False)
    np.testing.assert_allclose(by_name, after, atol=1e-6)
    assert loaded.similarity_fn_name == similarity
    modules = json.loads((tmp_path / "model/modules.json").read_text())
    names = ["Transformer", "Pooling", *["Dense"] * dense, *["Normalize"] * (similarity == "cosine")]
    assert [module["type"].rsplit(".", 1)[-1] for module in modules] == names
    if weight is not None:
        assert torch.equal(load_file(tmp_path / "model/2_Dense/model.safetensors")["linear.weight"], weight)


def test_a_new_linear_layer_changes_nothing_and_an_old_one_stays(tiny_encoder: Path, tmp_path: Path) -> None:
    plain = build_task_encoder(task_encoder_settings(tiny_encoder))
    model = build_task_encoder(task_encoder_settings(tiny_encoder, dense=True))
    np.testing.assert_allclose(encode_texts(model, TEXT, "qa", "key"), encode_texts(plain, TEXT, "qa", "key"), atol=1e-6)
    torch.manual_seed(2)
    model[2].linear.weight.data = torch.randn(32, 32)
    save_dense(model, tmp_path / "model")
    for dense in (False, True):
        again = build_task_encoder(task_encoder_settings(tmp_path / "model", dense=dense))
        np.testing.assert_allclose(encode_texts(again, TEXT, "qa", "key"), encode_texts(model, TEXT, "qa", "key"), atol=1e-6)


def test_instructions_and_lengths_are_those_of_task_and_role(tiny_encoder: Path) -> None:
    """A query is cut at 16 tokens, a key at 24; the same text has other vectors in another role or task."""
    model = build_task_encoder(task_encoder_settings(tiny_encoder))
    long = " ".join(["table"] * 40)
    for role, tokens in (("query", 16), ("key", 24)):
        lengths = model.preprocess([long], task="query" if role == "query" else "document")
        assert lengths["input_ids"].shape[1] == tokens
        prompt = {"query": "find the rows:", "key": "table:"}[role]
        kept = tokens - len(model.tokenizer(prompt)["input_ids"])
        short = " ".join(["table"] * kept)
        np.testing.assert_allclose(encode_texts(model, [long], "qa", role), encode_texts(model, [short], "qa", role), atol=1e-6)
        shorter = " ".join(["table"] * (kept - 1))
        assert np.abs(encode_texts(model, [long], "qa", role) - encode_texts(model, [shorter], "qa", role)).max() > 1e-4
    vectors = [encode_texts(model, TEXT[:1], task, role) for task in ("qa", "chat") for role in ("query", "key")]
    assert all(np.abs(vectors[i] - vectors[j]).max() > 1e-3 for i in range(4) for j in range(i))


def test_vectors_are_of_length_one_for_the_cosine_alone(tiny_encoder: Path) -> None:
    cosine, dot = (build_task_encoder(task_encoder_settings(tiny_encoder, similarity=name)) for name in ("cosine", "dot"))
    lengths = np.linalg.norm(encode_texts(cosine, TEXT, "qa", "key"), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
    assert np.abs(np.linalg.norm(encode_texts(dot, TEXT, "qa", "key"), axis=1) - 1).min() > 0.1


def test_an_encoder_from_elsewhere_is_compared_as_its_files_say(tiny_encoder: Path) -> None:
    """One for the cosine whose vectors are of any length: they are of length one here."""
    model = load_task_encoder(tiny_encoder)
    model.prompts = {"qa_query": "", "qa_key": ""}
    vectors = encode_texts(model, TEXT, "qa", "key")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    model.similarity_fn_name = "euclidean"
    with pytest.raises(SettingError, match=r"^similarity: euclidean found in the encoder's files, allowed: cosine, dot"):
        encode_texts(model, TEXT, "qa", "key")


def test_what_does_not_fit_is_said(tiny_encoder: Path) -> None:
    model = build_task_encoder(task_encoder_settings(tiny_encoder))
    with pytest.raises(SettingError, match=r"^instructions: none found for task tool, the encoder knows chat, qa; add one"):
        encode_texts(model, TEXT, "tool", "query")
    with pytest.raises(SettingError, match=r"^key_tokens: 300 found, at most 256 allowed"):
        build_task_encoder(task_encoder_settings(tiny_encoder, key_tokens=300))
    with pytest.raises(SettingError, match=r"^query_tokens: 300 found, at most 256 allowed"):
        build_task_encoder(task_encoder_settings(tiny_encoder, query_tokens=300))
