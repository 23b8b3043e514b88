"""A dense encoder of one or several tasks, each with an instruction before its queries and before its keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from tandem.retrievers.dense import load_dense
from tandem.runtime.encoders import check_length, pad_right
from tandem.runtime.weights import refuse_new_weights
from tandem.settings import Layers, SettingError, Settings, Tokens, errors_about

__all__ = [
    "Role",
    "Similarity",
    "TaskEncoderSettings",
    "TaskInstructions",
    "build_task_encoder",
    "encode_texts",
    "instruction_of",
    "load_task_encoder",
    "similarity_of",
]

Role = Literal["query", "key"]
Similarity = Literal["cosine", "dot"]


class TaskInstructions(Settings):
    """What stands before every query and every key of a task; spaces count."""

    query: str
    """before a query, its spaces included"""
    key: str
    """before a key"""


class TaskEncoderSettings(Settings):
    """The encoder that a training of tasks starts from, and how it reads texts; a saved one keeps all of it."""

    encoder: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: Layers | None
    """keep the encoder's first layers only; null keeps all"""
    pooling: Literal["cls", "mean", "lasttoken"]
    """what becomes of a text's token vectors"""
    dense: bool
    """a linear layer without bias after pooling, which starts as the identity; one that the encoder has stays in any case"""
    similarity: Similarity
    """cosine, for which the vectors are of length one, or their dot product as they are"""
    query_tokens: Tokens
    """queries are cut here, their instruction included"""
    key_tokens: Tokens
    """keys are cut here, likewise"""
    instructions: dict[str, TaskInstructions]
    """by task; a task without one has no vectors"""

    def bare(self) -> TaskEncoderSettings:
        """The same without instructions: texts are read as they are."""
        empty = TaskInstructions(query="", key="")
        return self.model_copy(update={"instructions": dict.fromkeys(self.instructions, empty)})


def build_task_encoder(settings: TaskEncoderSettings, *, device: str = "cpu") -> SentenceTransformer:
    """An encoder with float32 weights: transformer, pooling, linear layers if any, and lengths of one where the similarity is the cosine.

    ``prompts`` have every task's instructions as ``TASK_query`` and ``TASK_key``, for ``encode(prompt_name=...)`` of
    sentence-transformers too, which cuts texts at the larger of both lengths.

    Raises:
        SettingError: the encoder's files lack weights, or it has fewer layers or positions than asked for.
    """
    longest = "query_tokens" if settings.query_tokens > settings.key_tokens else "key_tokens"
    with errors_about(settings):
        base = load_dense(
            settings.encoder, layers=settings.layers, max_length=getattr(settings, longest), length_key=longest, device=device
        )
        transformer: Any = base[0]
        check_length(transformer.auto_model, min(settings.query_tokens, settings.key_tokens), key="query_tokens")
    transformer.query_length, transformer.document_length = settings.query_tokens, settings.key_tokens
    width = transformer.get_embedding_dimension()
    layers: list[Any] = [module for module in base if isinstance(module, Dense)]
    if settings.dense and not layers:
        layers = [Dense(width, width, bias=False, activation_function=torch.nn.Identity(), init_weight=torch.eye(width))]
    ending = [Normalize()] if settings.similarity == "cosine" else []
    model = SentenceTransformer(
        modules=[transformer, Pooling(width, settings.pooling), *layers, *ending], similarity_fn_name=settings.similarity, device=device
    )
    model.prompts = {"query": "", "document": ""}
    for task, texts in sorted(settings.instructions.items()):
        model.prompts |= {f"{task}_query": texts.query, f"{task}_key": texts.key}
    return model


def load_task_encoder(folder: Path, *, device: str = "cpu") -> SentenceTransformer:
    """An encoder that :func:`tandem.retrievers.dense.save_dense` wrote, or any of sentence-transformers', as its files say.

    Raises:
        SettingError: its files lack weights.
    """
    with refuse_new_weights(str(folder), instead="take a whole encoder", key="encoder", pooler=True):
        model = SentenceTransformer(str(folder), device=device, model_kwargs={"dtype": torch.float32})
    pad_right(model.tokenizer)
    return model


def instruction_of(model: SentenceTransformer, task: str, role: Role) -> str:
    """What stands before a task's texts of a role, in training as in search.

    Raises:
        SettingError: the model knows no such task.
    """
    prompt: str | None = model.prompts.get(f"{task}_{role}")
    if prompt is None:
        known = sorted(name.removesuffix("_query") for name in model.prompts if name.endswith("_query"))
        raise SettingError("instructions", f"none found for task {task}, the encoder knows {', '.join(known) or 'no task'}; add one")
    return prompt


def similarity_of(model: SentenceTransformer) -> Similarity:
    """How a model's vectors are compared.

    Raises:
        SettingError: otherwise than by their cosine or their dot product.
    """
    name = model.similarity_fn_name
    if name not in get_args(Similarity):
        raise SettingError("similarity", f"{name} found in the encoder's files, allowed: cosine, dot; set similarity_fn_name there")
    return cast("Similarity", name)


def encode_texts(model: SentenceTransformer, texts: Sequence[str], task: str, role: Role, *, batch_size: int = 32) -> np.ndarray:
    """Vectors of a task's queries or keys, (texts, dimensions), as training has them; their dot product is the similarity.

    Args:
        model: the encoder.
        texts: without an instruction.
        task: one that the model has instructions for.
        role: of the texts.
        batch_size: texts encoded at once.

    Raises:
        SettingError: the model knows no such task, or has another similarity.
    """
    encode = model.encode_query if role == "query" else model.encode_document
    vectors: np.ndarray = encode(
        list(texts),
        prompt=instruction_of(model, task, role),
        batch_size=batch_size,
        normalize_embeddings=similarity_of(model) == "cosine",
        convert_to_numpy=True,
        show_progress_bar=False,
    )
    return vectors
