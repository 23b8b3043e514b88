"""Completions by the content of what was asked: one cache for models and servers.

A request's key is the digest of everything that decides its completion: model, prompt, sampling and seed. A completion is written down as
soon as it is there, so a killed run loses at most a batch, and a corpus that has grown is paid for where it is new.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from tandem.formats.jsonl import write_lines
from tandem.interfaces import Completion, SamplingSettings
from tandem.llm.cache_file import CacheFile, read_batches

__all__ = ["CompletionCache", "Costs", "Line", "number_requests", "prune_lines", "read_lines", "request_keys", "seed_of"]


class Line(NamedTuple):
    """A batch of completions as the file has it."""

    model: str
    """whose they are; empty in files of older versions, which did not say"""
    time: int
    """when they were written, in seconds since 1970; 0 where the file does not say"""
    completions: list[tuple[str, Completion]]
    content: bytes


class CompletionCache:
    """Completions by key, in a file of a JSON line for each batch; a last line that a kill cut off is passed over, its batch with it.

    Args:
        path: of the file; None keeps completions in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.file = CacheFile(path)
        self.completions: dict[str, Completion] = {key: Completion(*values) for key, *values in self.file.read()}

    def keep(self, completions: Mapping[str, Completion], *, model: str) -> None:
        """Write a batch of completions down, all of them or none, and whose they are, for whoever prunes the file."""
        self.completions.update(completions)
        self.file.append([[key, *completion] for key, completion in completions.items()], model=model)


def read_lines(path: Path) -> Iterator[Line]:
    """The whole lines of a cache's file, in order."""
    for batch in read_batches(path):
        yield Line(batch.model, batch.time, [(key, Completion(*values)) for key, *values in batch.rows], batch.content)


def prune_lines(path: Path, keeps: Callable[[Line], bool]) -> tuple[int, int]:
    """Write a cache's file anew with the lines that are kept, whole or not at all; how many completions were kept, and dropped.

    Nothing may be generating meanwhile: what it writes would be lost.
    """
    counts = {True: 0, False: 0}

    def kept() -> Iterator[bytes]:
        for line in read_lines(path):
            keep = keeps(line)
            counts[keep] += len(line.completions)
            if keep:
                yield line.content

    write_lines(path, kept())
    return counts[True], counts[False]


def number_requests(prompts: Sequence[str]) -> list[int]:
    """How often each prompt stands before itself in the list: the same prompt asked again is another request."""
    asked: dict[str, int] = {}
    numbers = []
    for prompt in prompts:
        numbers.append(asked.get(prompt, 0))
        asked[prompt] = numbers[-1] + 1
    return numbers


def request_keys(
    prompts: Sequence[str], model: Sequence[str | bool], sampling: SamplingSettings, *, seed: int | str, one_line: bool = False
) -> list[str]:
    """The key of each request.

    Args:
        prompts: in the order of asking.
        model: whatever tells models apart.
        sampling: how the model writes; of a class that adds to SamplingSettings, those values alone count.
        seed: of the sampling.
        one_line: whether completions end at a line break.
    """
    settings: dict[str, float | str] = {name: getattr(sampling, name) for name in sorted(SamplingSettings.model_fields)}
    if one_line:
        settings["stop"] = "\n"
    fixed = [*model, settings, seed]
    return [
        hashlib.sha256(orjson.dumps([*fixed, prompt, number])).hexdigest()[:32]
        for prompt, number in zip(prompts, number_requests(prompts), strict=True)
    ]


def seed_of(content: str) -> int:
    """A seed from any text."""
    return zlib.crc32(content.encode()) & 0x7FFFFFFF


class Costs:
    """What completions cost, summed up over calls."""

    def __init__(self) -> None:
        self.requests = self.cached = self.prompt_tokens = self.completion_tokens = 0
        self.seconds = 0.0

    def add(self, completions: Sequence[Completion], *, cached: int, seconds: float) -> None:
        """Count new completions, how many were there already, and the time that the new ones took."""
        self.requests += len(completions)
        self.cached += cached
        self.prompt_tokens += sum(completion.prompt_tokens for completion in completions)
        self.completion_tokens += sum(completion.completion_tokens for completion in completions)
        self.seconds += seconds

    def to_dict(self) -> dict[str, float]:
        """The sums under the names of :meth:`tandem.interfaces.LanguageModel.costs`."""
        return {
            "requests": self.requests,
            "cached": self.cached,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "tokens_per_second": self.completion_tokens / self.seconds if self.requests else 0.0,
        }
