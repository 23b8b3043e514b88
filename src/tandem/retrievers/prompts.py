"""What stands before every query and every document of a retriever, in training as in search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson
from sentence_transformers.util import load_file_path

from tandem.settings import Settings

__all__ = ["Prompts", "choose_prompts", "column_roles", "read_prompts"]

# sentence-transformers' names of each. It fills in an empty "document", which would win over a model's "passage".
NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}


class Prompts(Settings):
    """What stands before every text of a retriever, as e5 and its like were trained; spaces count."""

    query: str
    """before a query, its spaces included"""
    document: str
    """before a document"""


def choose_prompts(model_prompts: Mapping[str, str | None], prompts: Prompts | None = None) -> dict[str, str]:
    """The prompts of ``query`` and of ``document``, empty where there is none.

    Args:
        model_prompts: those that the model comes with, by sentence-transformers' names.
        prompts: to use in their place; None keeps the model's.
    """
    if prompts is not None:
        return {"query": prompts.query, "document": prompts.document}
    return {role: next((text for name in names if (text := model_prompts.get(name))), "") for role, names in NAMES.items()}


def column_roles(columns: Iterable[str]) -> dict[str, str]:
    """What the text columns of training rows hold, by their names: the first ``query``, the others ``document``."""
    return {name: "document" if i else "query" for i, name in enumerate(name for name in columns if name != "label")}


def read_prompts(encoder: str) -> dict[str, str | None]:
    """The prompts in an encoder's sentence-transformers settings; none where it has no such file.

    Args:
        encoder: folder or Hugging Face id.
    """
    path = load_file_path(encoder, "config_sentence_transformers.json")
    if path is None:
        return {}
    return dict(orjson.loads(Path(path).read_bytes()).get("prompts") or {})
