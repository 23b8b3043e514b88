"""Likelihoods by the content of what was scored: a pair of texts is paid for once, whatever is made of its likelihood later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from tandem.interfaces import LogLikelihood
from tandem.llm.cache_file import CacheFile

__all__ = ["LikelihoodCache", "pair_keys"]


class LikelihoodCache:
    """Log-likelihoods by key, in a file of a JSON line for each batch; a last line that a kill cut off is passed over, its batch with it.

    Args:
        path: of the file; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.file = CacheFile(path)
        self.values: dict[str, LogLikelihood] = {key: LogLikelihood(*values) for key, *values in self.file.read()}

    def keep(self, values: Mapping[str, LogLikelihood], *, model: str) -> None:
        """Write a batch down, all of it or nothing, and whose it is."""
        self.values.update(values)
        self.file.append([[key, *value] for key, value in values.items()], model=model)


def pair_keys(prompts: Sequence[str], completions: Sequence[str], model: Sequence[str]) -> list[str]:
    """The key of each pair: a digest of the model and of both texts as the model reads them, template and cuts included.

    Args:
        prompts: in the order of asking.
        completions: one a prompt.
        model: whatever tells models apart.
    """
    return [
        hashlib.sha256(orjson.dumps([*model, prompt, completion])).hexdigest()[:32]
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
