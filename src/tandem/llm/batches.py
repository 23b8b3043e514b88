"""Which prompts are read together: those that begin with the same examples, of like length, each group side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Batch", "plan_batches", "shared_prefixes"]

PREFIX_CHARACTERS = 100  # so much must prompts have in common, as behind a chat template, for their beginning to be computed before them


@dataclass(frozen=True, slots=True)
class Batch:
    """Places of prompts in their list, and the text that all of them begin with; empty where it is not worth computing once."""

    indices: list[int]
    prefix: str


def shared_prefixes(prompts: Sequence[str], *, batch_size: int) -> list[str]:
    """The beginning that each prompt shares with many others: as many as fill a batch, or half of all; empty where it shares none.

    Examples before the document are such a beginning. The few queries of one document are not: their batch shares its computation anyhow.
    """
    clusters: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        if len(prompt) > PREFIX_CHARACTERS:
            clusters.setdefault(prompt[:PREFIX_CHARACTERS], []).append(i)
    prefixes = [""] * len(prompts)
    for members in clusters.values():
        if len(members) >= max(2, min(batch_size, len(prompts) // 2)):
            common = _common_beginning([prompts[i] for i in members])
            for i in members:
                prefixes[i] = common
    return prefixes


def _common_beginning(texts: Sequence[str]) -> str:
    """The characters that all texts begin with; it is enough to look at the first and the last in order."""
    first, last = min(texts), max(texts)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))]


def plan_batches(
    lengths: Sequence[int], groups: Sequence[str], prefixes: Sequence[str], indices: Sequence[int], *, batch_size: int
) -> list[Batch]:
    """Batches of prompts with one prefix, sorted by the longest of their group.

    Args:
        lengths: of each prompt.
        groups: of each prompt; those of a group stay side by side.
        prefixes: from :func:`shared_prefixes`.
        indices: of the prompts that are wanted.
        batch_size: prompts at once.
    """
    longest: dict[str, int] = {}
    for i in indices:
        longest[groups[i]] = max(longest.get(groups[i], 0), lengths[i])
    # Ties by the digits of the place, as ids of queries sort: the batches of caches that exist stay what they were.
    order = sorted(indices, key=lambda i: (prefixes[i], longest[groups[i]], groups[i], str(i)))
    batches: list[Batch] = []
    for i in order:
        if not batches or len(batches[-1].indices) == batch_size or batches[-1].prefix != prefixes[i]:
            batches.append(Batch([], prefixes[i]))
        batches[-1].indices.append(i)
    return batches
