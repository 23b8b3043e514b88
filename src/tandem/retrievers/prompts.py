"""What stands before every query and every document of a retriever, in training as in search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from sentence_transformers.util import load_file_path

__all__ = ["choose_prompts", "column_roles", "read_prompts"]

# sentence-transformers' names of each. It fills in an empty "document", which would win over a model's own "passage".
NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}


def choose_prompts(own: Mapping[str, str | None], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The prompts of ``query`` and of ``document``, empty where there is none.

    Args:
        own: of the model, by sentence-transformers' names.
        given: to use in their place; None keeps the model's own.

    Raises:
        ValueError: ``given`` does not name both, or names others.
    """
    if given is not None:
        if set(given) != set(NAMES):
            raise ValueError(f"prompts: {', '.join(sorted(given)) or 'nothing'} found, both query and document are needed")
        return dict(given)
    return {role: next((text for name in names if (text := own.get(name))), "") for role, names in NAMES.items()}


def column_roles(columns: Iterable[str]) -> dict[str, str]:
    """What the text columns of training rows hold, by their names: the first ``query``, the others ``document``."""
    return {name: "document" if i else "query" for i, name in enumerate(name for name in columns if name != "label")}


def read_prompts(encoder: str) -> dict[str, Any]:
    """The prompts in an encoder's sentence-transformers settings; none where it has no such file.

    Args:
        encoder: folder or Hugging Face id.
    """
    path = load_file_path(encoder, "config_sentence_transformers.json")
    if path is None:
        return {}
    return dict(orjson.loads(Path(path).read_bytes()).get("prompts") or {})
