"""A dense retriever that leaves: what sentence-transformers reads back has the same vectors, prompts and lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import retriever_settings, task_encoder_settings
from sentence_transformers import SentenceTransformer

from tandem.retrievers.dense import save_dense
from tandem.retrievers.export import export_sentence_transformers, load_for_export
from tandem.retrievers.retriever import build_retriever, save_retriever, vectors_of
from tandem.retrievers.task_encoder import build_task_encoder, encode_texts

TEXTS = ["sort the rows of a table", "the mean of an array along one of its axes, or of all numbers", "dates"]


def test_an_encoder_of_tasks_keeps_its_instructions(tiny_encoder: Path, tmp_path: Path) -> None:
    model = build_task_encoder(task_encoder_settings(tiny_encoder, similarity="dot", dense=True))
    save_dense(model, tmp_path / "weights")
    assert export_sentence_transformers(load_for_export(tmp_path / "weights"), tmp_path / "out") < 1e-5
    again = SentenceTransformer(str(tmp_path / "out"))
    assert again.prompts == model.prompts
    np.testing.assert_allclose(again.encode(TEXTS, prompt_name="qa_key"), encode_texts(model, TEXTS, "qa", "key"), atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "both"])
def test_the_loops_dense_vectors(tiny_encoder: Path, tmp_path: Path, kind: str) -> None:
    """Of kind both, the dense half is what a dense encoder of the same weights is."""
    prompts = {"query": "query: ", "document": "passage: "}
    save_retriever(
        build_retriever(retriever_settings(tiny_encoder, kind=kind, prompts=prompts), seed=1, device="cpu"), tmp_path / "weights"
    )
    export_sentence_transformers(load_for_export(tmp_path / "weights"), tmp_path / "out")
    dense = build_retriever(retriever_settings(tiny_encoder, kind="dense", prompts=prompts), seed=1, device="cpu")
    expected = torch.cat(vectors_of(dense, TEXTS, task="document"))
    again = SentenceTransformer(str(tmp_path / "out"))
    torch.testing.assert_close(torch.from_numpy(again.encode_document(TEXTS, normalize_embeddings=True)), expected, atol=1e-5, rtol=0)


def test_what_is_not_the_same_is_not_written(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_task_encoder(task_encoder_settings(tiny_encoder))

    def save_half(self: Any, folder: str, **_: Any) -> None:
        halved = build_task_encoder(task_encoder_settings(tiny_encoder))
        halved[0].auto_model.embeddings.word_embeddings.weight.data *= 0.5
        type(self).save_pretrained = saved
        halved.save_pretrained(folder, create_model_card=False)

    saved = SentenceTransformer.save_pretrained
    monkeypatch.setattr(SentenceTransformer, "save_pretrained", save_half)
    with pytest.raises(ValueError, match="its vectors read back differ"):
        export_sentence_transformers(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    late = build_retriever(retriever_settings(tiny_encoder), seed=1, device="cpu")
    with pytest.raises(ValueError, match="kind: dense or both"):
        export_sentence_transformers(late, tmp_path / "out")
    with pytest.raises(FileExistsError, match="name a folder that does not"):
        export_sentence_transformers(model, tmp_path)
