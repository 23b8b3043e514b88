"""Stanford's checkpoint format: what colbert-ai loads, indexes (PLAID) and searches; and colbert-ai under today's transformers.

A retriever whose encoder is one of their checkpoints starts from its BERT, not from its projection (docs/scaling.md).
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules.dense import Dense

from tandem.formats.jsonl import write_json
from tandem.retrievers.colbert import MARKERS
from tandem.runtime.extensions import drop_stale_locks

__all__ = ["export_stanford", "open_with_colbert_ai"]


def export_stanford(model: MultiVectorEncoder, folder: Path) -> None:
    """Write a ColBERT as a Stanford checkpoint, whole or not at all: their library then gives the same scores.

    Args:
        model: with markers and query expansion, for their code puts both into every query.
        folder: to make; nothing may stand there.

    Raises:
        FileExistsError: the folder is there.
        ValueError: the model has no markers, has other prompts, or does not expand queries.
    """
    transformer, projection = model[0], next(module for module in model if isinstance(module, Dense))
    expansion = transformer.query_expansion
    starts = tuple(model.prompts.get(role, "").strip() for role in ("query", "document"))
    if starts != MARKERS or not expansion:
        raise ValueError(
            "this retriever has no [Q] and [D] markers, has prompts behind them, or does not expand queries, and Stanford's code knows "
            "markers and expansion alone: train it with retriever.markers: true, retriever.query_expansion: true and "
            'retriever.prompts: {query: "", document: ""}'
        )
    if folder.exists():
        raise FileExistsError(f"{folder} exists; name a folder that does not")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        draft = Path(aside) / "checkpoint"
        encoder = transformer.auto_model
        config = copy.deepcopy(encoder.config)
        config.architectures = ["HF_ColBERT"]
        config.save_pretrained(draft)
        state = {f"{encoder.base_model_prefix}.{name}": value.contiguous() for name, value in encoder.state_dict().items()}
        save_file({**state, "linear.weight": projection.linear.weight.detach().contiguous()}, draft / "model.safetensors", {"format": "pt"})
        model.tokenizer.save_pretrained(draft)
        write_json(draft / "artifact.metadata", _metadata(transformer, dimensions=projection.linear.out_features))
        draft.rename(folder)


def open_with_colbert_ai(folder: Path) -> Any:
    """A Stanford checkpoint in colbert-ai's hands (``colbert.modeling.checkpoint.Checkpoint``); it compiles C++ on first use."""
    from colbert.infra import ColBERTConfig
    from colbert.modeling import base_colbert
    from colbert.modeling.checkpoint import Checkpoint

    drop_stale_locks()
    theirs = base_colbert.class_factory
    base_colbert.class_factory = _with_post_init(theirs)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message=".*GradScaler is enabled, but CUDA is not available.*"
            )  # made by them, used by nobody
            return Checkpoint(str(folder), colbert_config=ColBERTConfig.load_from_checkpoint(str(folder)), verbose=0)
    finally:
        base_colbert.class_factory = theirs


def _with_post_init(class_factory: Callable[[str], type]) -> Callable[[str], type]:
    """The one mend that colbert-ai 0.2.22 needs under transformers 5: its models end their making with ``post_init``."""

    def factory(name: str) -> type:
        theirs = class_factory(name)

        class Complete(theirs):  # type: ignore[valid-type,misc]
            """Theirs, made to its end."""

            def __init__(self, *arguments: Any, **settings: Any) -> None:
                super().__init__(*arguments, **settings)
                self.post_init()

        return Complete

    return factory


def _metadata(transformer: Any, *, dimensions: int) -> dict[str, Any]:
    return {
        "query_token_id": MARKERS[0],
        "doc_token_id": MARKERS[1],
        "query_token": "[Q]",
        "doc_token": "[D]",
        "dim": dimensions,
        "similarity": "cosine",
        "query_maxlen": transformer.query_length,
        "doc_maxlen": transformer.document_length,
        "mask_punctuation": True,
        "attend_to_mask_tokens": bool(transformer.query_expansion["attend"]),
        "interaction": "colbert",
    }
