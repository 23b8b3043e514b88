"""What a generator wrote, by the content of what it was asked: one cache for models and servers.

A request's key is the digest of everything that decides its answer: model, prompt, sampling and seed. An answer is written down as soon as
it is there, so a killed run loses at most a batch, and a corpus that has grown is paid for where it is new.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

__all__ = ["Answer", "AnswerCache", "count_answers", "number_requests", "request_keys", "seed_of"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion with its tokens."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class AnswerCache:
    """Answers by key, in a file of a JSON line for each batch; a last line that a kill cut off is passed over, its batch with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = dict(self._read()) if path.exists() else {}
        self.torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")

    def _read(self) -> Iterator[tuple[str, Answer]]:
        for line in self.path.read_bytes().splitlines():
            try:
                rows = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            for key, *answer in rows:
                yield key, Answer(*answer)

    def keep(self, answers: Mapping[str, Answer]) -> None:
        """Write a batch of answers down, all of them or none."""
        self.answers.update(answers)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [[key, answer.text, answer.prompt_tokens, answer.completion_tokens] for key, answer in answers.items()]
        with self.path.open("ab") as file:
            file.write((b"\n" if self.torn else b"") + orjson.dumps(rows, option=orjson.OPT_APPEND_NEWLINE))
        self.torn = False


def number_requests(prompts: Mapping[str, str]) -> dict[str, int]:
    """How often each query's prompt was asked before: the same prompt asked again is another request."""
    asked: dict[str, int] = {}
    numbers = {}
    for query_id, prompt in prompts.items():
        numbers[query_id] = asked.get(prompt, 0)
        asked[prompt] = numbers[query_id] + 1
    return numbers


def request_keys(prompts: Mapping[str, str], model: Iterable[Any], *, settings: Mapping[str, Any], seed: int | str) -> dict[str, str]:
    """The key of each request by query_id.

    Args:
        prompts: text by query_id, in the order of asking.
        model: whatever tells models apart.
        settings: of the sampling.
        seed: of the sampling.
    """
    fixed = [*model, dict(sorted(settings.items())), seed]
    numbers = number_requests(prompts)
    return {
        query_id: hashlib.sha256(orjson.dumps([*fixed, prompt, numbers[query_id]])).hexdigest()[:32] for query_id, prompt in prompts.items()
    }


def seed_of(content: str) -> int:
    """A seed from any text."""
    return zlib.crc32(content.encode()) & 0x7FFFFFFF


def count_answers(found: Sequence[Answer], *, cached: int, seconds: float) -> dict[str, float]:
    """What answers cost: ``requests``, ``cached``, ``prompt_tokens``, ``completion_tokens``, ``tokens_per_second``.

    Args:
        found: the new ones.
        cached: how many were there already.
        seconds: that the new ones took.
    """
    read, written = sum(answer.prompt_tokens for answer in found), sum(answer.completion_tokens for answer in found)
    return {
        "requests": len(found),
        "cached": cached,
        "prompt_tokens": read,
        "completion_tokens": written,
        "tokens_per_second": written / seconds if found else 0.0,
    }
