"""Training reads the token ids that search reads: prompts, markers, expansion and cuts included, for every kind of retriever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS

from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers import training
from tandem.retrievers.bi_encoder import train_bi_encoder
from tandem.retrievers.prompts import choose_prompts
from tandem.retrievers.query_loss import QueryLoss
from tandem.retrievers.retriever import build_retriever, load_retriever, save_retriever, vectors_of
from tandem.retrievers.training import train_retriever

PROMPTS = {"query": "average of: ", "document": "convert strings: "}
SETTINGS: dict[str, Any] = {"steps": 1, "batch_size": 6, "learning_rate": 1e-4, "warmup_ratio": 0.0, "temperature": 1.0, "negatives": 1}
SHAPE: dict[str, Any] = {"layers": 1, "dimensions": 16, "query_tokens": 8, "document_tokens": 12}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """What the real collators made of every batch, beside the rows that they were given."""
    seen: list[Any] = []
    for name in ("MultiVectorEncoderTrainer", "SentenceTransformerTrainer"):

        class Listening(getattr(training, name)):  # type: ignore[misc]
            def get_data_collator(self, *arguments: Any, **settings: Any) -> Any:
                collator = super().get_data_collator(*arguments, **settings)
                original = collator.__call__

                def call(rows: list[dict[str, Any]]) -> dict[str, Any]:
                    batch = original(rows)
                    seen.append((batch, rows))
                    return batch  # type: ignore[no-any-return]

                call.valid_label_columns = collator.valid_label_columns  # type: ignore[attr-defined]
                return call

        monkeypatch.setattr(training, name, Listening)
    return seen


def encoded_ids(model: Any, texts: list[str], role: str, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The token ids that the encoder reads in ``encode_query`` or ``encode_document``, by text."""
    read: list[list[int]] = []
    for text in texts:
        with monkeypatch.context() as patch:
            original = model[0].forward
            patch.setattr(
                model[0],
                "forward",
                lambda features, original=original, **more: (read.append(ids_of(features)[0]), original(features, **more))[1],
            )
            (model.encode_query if role == "query" else model.encode_document)([text], show_progress_bar=False)
    return read


def ids_of(features: dict[str, Any], prefix: str = "") -> list[list[int]]:
    ids, mask = features[f"{prefix}input_ids"], features[f"{prefix}attention_mask"]
    return [row[kept.bool()].tolist() for row, kept in zip(ids, mask, strict=True)]


def assert_same_ids(model: Any, batches: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (batch, rows), *_ = batches
    for column, role in (("query", "query"), ("positive", "document"), ("negative_1", "document")):
        read = ids_of(batch, f"{column}_")
        assert read == encoded_ids(model, [row[column] for row in rows], role, monkeypatch), column


@pytest.mark.parametrize("kind", ["colbert", "dense"])
@pytest.mark.parametrize("changes", [{}, {"markers": True, "query_expansion": True}], ids=["plain", "markers"])
@pytest.mark.parametrize("prompts", [None, PROMPTS], ids=["own", "given"])
def test_a_training_batch_is_what_search_reads(
    tiny_encoder: Path,
    corpus: list[Document],
    pairs: list[LabelledPair],
    batches: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
    changes: dict[str, bool],
    prompts: dict[str, str] | None,
) -> None:
    encoder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, encoder)
    settings = json.loads((encoder / "config_sentence_transformers.json").read_text())
    settings["prompts"] = {"query": "merge two: ", "passage": "in many formats: "}  # of the model's own, as e5 names them
    (encoder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    flags = {"markers": False, "query_expansion": False, **changes}
    model = build_retriever(kind, encoder=str(encoder), **SHAPE, **flags, prompts=prompts, seed=1, device="cpu")
    own = [(pair.text, pair.doc_id) for pair in pairs]
    train_retriever(model, own, corpus, **SETTINGS, evaluations=1, dev_score=lambda _: [0.0], scratch=tmp_path, bf16=False, seed=1)
    assert_same_ids(model, batches, monkeypatch)
    words = PROMPTS if prompts else {"query": "merge two:", "document": "in many formats:"}
    for role, column in (("query", "query"), ("document", "positive")):
        prompt = model.tokenizer(words[role], add_special_tokens=False)["input_ids"]
        read = ids_of(batches[0][0], f"{column}_")
        skipped = 2 if kind == "colbert" and changes else 1  # the first token, and the marker behind it
        assert all(row[skipped : skipped + len(prompt)] == prompt for row in read)
        assert max(map(len, read)) <= (8 if role == "query" and kind == "colbert" else 12)
    save_retriever(model, tmp_path / "saved")
    again = load_retriever(tmp_path / "saved")
    assert again.prompts == model.prompts
    text = QUERIES["sort"]
    torch.testing.assert_close(vectors_of(again, [text], task="query"), vectors_of(model, [text], task="query"), atol=1e-5, rtol=0)


def test_documents_are_cut_to_the_training_length(
    tiny_encoder: Path,
    corpus: list[Document],
    pairs: list[LabelledPair],
    batches: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shorter in training than in search: the same ids, as far as they go, the prompt first."""
    shape = {**SHAPE, "query_expansion": False, "markers": True, "prompts": PROMPTS}
    model = build_retriever("colbert", encoder=str(tiny_encoder), **shape, seed=1, device="cpu")
    rest: dict[str, Any] = {"evaluations": 1, "dev_score": lambda _: [0.0], "scratch": tmp_path, "bf16": False, "seed": 1}
    own = [(pair.text, pair.doc_id) for pair in pairs]
    train_retriever(model, own, corpus, **SETTINGS, **rest, training_document_tokens=9)
    batch, rows = batches[0]
    whole = encoded_ids(model, [row["positive"] for row in rows], "document", monkeypatch)
    assert [row[:9] for row in whole] == ids_of(batch, "positive_")


def test_the_filter_encoder(
    tiny_encoder: Path,
    corpus: list[Document],
    pairs: list[LabelledPair],
    batches: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape: dict[str, Any] = {"encoder": str(tiny_encoder), "layers": 1, "max_length": 12, "prompts": PROMPTS}
    rest: dict[str, Any] = {"evaluations": 1, "scratch": tmp_path, "bf16": False, "seed": 1, "device": "cpu", "dev_documents": 2}
    train_bi_encoder(corpus, pairs, pairs[:2], tmp_path / "model", **shape, **SETTINGS, **rest, measure=lambda *_: [0.0])
    model = load_retriever(tmp_path / "model")
    assert model.prompts == PROMPTS
    assert_same_ids(model, batches, monkeypatch)


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_the_features_of_query_losses_are_those_of_search(tiny_encoder: Path, corpus: list[Document], kind: Any) -> None:
    flags = {"markers": True, "query_expansion": True, "prompts": PROMPTS}
    model = build_retriever(kind, encoder=str(tiny_encoder), **SHAPE, **flags, seed=1, device="cpu")
    rows = [PseudoQuery(query_id="p-1", text=QUERIES["sort"], doc_id="sort")]
    queries, documents = QueryLoss(model, corpus, negatives=2, temperature=1.0, seed=1).vectors(rows)
    more: dict[str, Any] = {"normalize_embeddings": True, "convert_to_tensor": True} if kind == "dense" else {}
    torch.testing.assert_close(queries[0], model.encode_query([QUERIES["sort"]], **more)[0].reshape(queries[0].shape), atol=1e-5, rtol=0)
    document = model.encode_document([TEXTS["sort"]], **more)[0]
    torch.testing.assert_close(documents[0], document.reshape(documents[0].shape), atol=1e-5, rtol=0)


def test_prompts_name_both_sides() -> None:
    assert choose_prompts({"query": "", "document": "", "passage": "p: "}) == {"query": "", "document": "p: "}
    assert choose_prompts({"query": "q: "}, {"query": "", "document": ""}) == {"query": "", "document": ""}
    with pytest.raises(ValueError, match="prompts: query found, both query and document are needed"):
        choose_prompts({}, {"query": "q: "})
