"""Training reads the token ids that search reads: prompts, markers, expansion and cuts included, for every kind of retriever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS
from makers import compute_in, contrastive_settings, retriever_settings
from pydantic import ValidationError

from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.prompts import Prompts, choose_prompts
from tandem.retrievers.query_loss import QueryLoss, QueryLossSettings
from tandem.retrievers.retriever import build_retriever, load_retriever, save_retriever, vectors_of
from tandem.retrievers.training import trainer
from tandem.retrievers.training.filter_encoder import FilterEncoderSettings, train_filter_encoder
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import train_retriever

PROMPTS = {"query": "average of: ", "document": "convert strings: "}
ONE_STEP: dict[str, Any] = {"steps": 1, "batch_size": 6, "learning_rate": 1e-4, "warmup_ratio": 0.0}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """What the real collators made of every batch, beside the rows that they were given."""
    seen: list[Any] = []
    for name in ("MultiVectorEncoderTrainer", "SentenceTransformerTrainer"):

        class Listening(getattr(trainer, name)):  # type: ignore[misc]
            def get_data_collator(self, *arguments: Any, **settings: Any) -> Any:
                collator = super().get_data_collator(*arguments, **settings)
                original = collator.__call__

                def call(rows: list[dict[str, Any]]) -> dict[str, Any]:
                    batch = original(rows)
                    seen.append((batch, rows))
                    return batch  # type: ignore[no-any-return]

                call.valid_label_columns = collator.valid_label_columns  # type: ignore[attr-defined]
                return call

        monkeypatch.setattr(trainer, name, Listening)
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


def train_one_step(model: Any, corpus: list[Document], pairs: list[LabelledPair], scratch: Path, **changes: Any) -> None:
    data, settings = TrainingData([(pair.text, pair.doc_id) for pair in pairs], corpus), contrastive_settings(**ONE_STEP)
    train_retriever(model, data, settings, evaluations=1, dev_score=lambda _: [0.0], compute=compute_in(scratch), **changes)


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
    settings["prompts"] = {"query": "merge two: ", "passage": "in many formats: "}  # those that it comes with, as e5 names them
    (encoder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    chosen = Prompts(**prompts) if prompts else None
    model = build_retriever(retriever_settings(encoder, kind=kind, layers=1, prompts=chosen, **changes), seed=1, device="cpu")
    train_one_step(model, corpus, pairs, tmp_path)
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
    model = build_retriever(retriever_settings(tiny_encoder, layers=1, markers=True, prompts=Prompts(**PROMPTS)), seed=1, device="cpu")
    train_one_step(model, corpus, pairs, tmp_path, document_tokens=9)
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
    values: dict[str, Any] = {**dict(contrastive_settings(**ONE_STEP)), "evaluations": 1, "dev_documents": 2}
    settings = FilterEncoderSettings(encoder=str(tiny_encoder), layers=1, max_length=12, prompts=Prompts(**PROMPTS), **values)
    compute = compute_in(tmp_path)
    train_filter_encoder(corpus, pairs, pairs[:2], tmp_path / "model", settings, measure=lambda *_: [0.0], compute=compute)
    model = load_retriever(tmp_path / "model")
    assert model.prompts == PROMPTS
    assert_same_ids(model, batches, monkeypatch)


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_the_features_of_query_losses_are_those_of_search(tiny_encoder: Path, corpus: list[Document], kind: Any) -> None:
    flags: dict[str, Any] = {"markers": True, "query_expansion": True, "prompts": Prompts(**PROMPTS)}
    model = build_retriever(retriever_settings(tiny_encoder, kind=kind, layers=1, **flags), seed=1, device="cpu")
    rows = [PseudoQuery(query_id="p-1", text=QUERIES["sort"], doc_id="sort")]
    queries, documents = QueryLoss(model, BM25Index(TEXTS), corpus, QueryLossSettings(negatives=2, temperature=1.0), seed=1).vectors(rows)
    more: dict[str, Any] = {"normalize_embeddings": True, "convert_to_tensor": True} if kind == "dense" else {}
    torch.testing.assert_close(queries[0], model.encode_query([QUERIES["sort"]], **more)[0].reshape(queries[0].shape), atol=1e-5, rtol=0)
    document = model.encode_document([TEXTS["sort"]], **more)[0]
    torch.testing.assert_close(documents[0], document.reshape(documents[0].shape), atol=1e-5, rtol=0)


def test_prompts_name_both_sides() -> None:
    assert choose_prompts({"query": "", "document": "", "passage": "p: "}) == {"query": "", "document": "p: "}
    assert choose_prompts({"query": "q: "}, Prompts(query="", document="")) == {"query": "", "document": ""}
    with pytest.raises(ValidationError, match="document\n  Field required"):
        Prompts.model_validate({"query": "q: "})
