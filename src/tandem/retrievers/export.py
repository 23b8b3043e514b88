"""A dense retriever as any program reads it with sentence-transformers alone; what it reads back is compared before it is there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from tandem.interfaces import Retriever
from tandem.retrievers.retriever import load_retriever
from tandem.retrievers.task_encoder import load_task_encoder

__all__ = ["TOLERANCE", "export_sentence_transformers", "load_for_export"]

TOLERANCE = 1e-5
SAMPLES = ("sort the rows of a table by a column", "A text of two sentences. It says little.", "x")


def load_for_export(folder: Path) -> Retriever:
    """A retriever with all prompts that its files have; those of an encoder of tasks are more than a loop's retriever has."""
    model = load_retriever(folder)
    return load_task_encoder(folder) if isinstance(model, SentenceTransformer) else model


def export_sentence_transformers(model: Retriever, folder: Path) -> float:
    """Write a dense retriever, prompts, pooling and lengths included, whole or not at all; of kind ``both``, its dense half.

    Every prompt that it has is tried: the vectors of a few texts, by the model as it is and by what was read back with
    ``SentenceTransformer(folder)``.

    Args:
        model: a dense encoder, of the loop or of tasks, or a retriever of kind ``both``.
        folder: to make; nothing may stand there.

    Returns:
        The largest difference of a number of a vector.

    Raises:
        FileExistsError: the folder is there.
        ValueError: the retriever has no dense vectors, or what is read back has others, by more than 1e-5.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; name a folder that does not")
    dense = _dense(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        draft = Path(aside) / "model"
        dense.save_pretrained(str(draft), create_model_card=False)
        again = SentenceTransformer(str(draft), device="cpu", model_kwargs={"dtype": torch.float32})
        difference = max(_difference(dense, again, prompt) for prompt in (None, *dense.prompts))
        if difference > TOLERANCE:
            raise ValueError(
                f"{folder}: not written, for its vectors read back differ by {difference:.2g}, {TOLERANCE:g} is allowed; please report it"
            )
        draft.rename(folder)
    return difference


def _dense(model: Retriever) -> SentenceTransformer:
    if isinstance(model, SentenceTransformer):
        return model
    pooling = next((module for module in model if isinstance(module, Pooling)), None) if isinstance(model, MultiVectorEncoder) else None
    if pooling is None or not isinstance(model, MultiVectorEncoder):
        raise ValueError(f"{type(model).__name__} found, which has no dense vectors; train one with retriever.kind: dense or both")
    return SentenceTransformer(modules=[model[0], pooling, Normalize()], prompts=dict(model.prompts), similarity_fn_name="cosine")


def _difference(one: SentenceTransformer, other: SentenceTransformer, prompt: str | None) -> float:
    vectors = [model.encode(list(SAMPLES), prompt_name=prompt, convert_to_tensor=True).float().cpu() for model in (one, other)]
    return float((vectors[0] - vectors[1]).abs().max())
