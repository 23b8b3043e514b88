"""Groups of exact and near duplicate documents: MinHash candidates (datasketch), confirmed by exact Jaccard similarity.

A near duplicate of a query's document is no competitor in a filter and no negative in training.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH
from tqdm import tqdm

from tandem.records import Document, document_text
from tandem.text import MARKS, split_words

__all__ = ["duplicate_groups", "with_groups"]

NAME = re.compile(rf"[\w{MARKS}]+")  # names of code keep their underscores


def duplicate_groups(texts: Sequence[str], *, threshold: float = 0.8, shingle_words: int = 3) -> list[int]:
    """For each text the index of the first text of its group; a text without duplicates has its index.

    Args:
        texts: of the documents.
        threshold: Jaccard similarity of shingle sets from which two texts count as near duplicates.
        shingle_words: words in a shingle.
    """
    shingles = [_shingles(text, shingle_words) for text in texts]
    index = MinHashLSH(threshold=threshold * 0.9, num_perm=64)
    first = list(range(len(texts)))
    hashes = MinHash.generator(([shingle.encode() for shingle in sorted(texts)] for texts in shingles), num_perm=64, seed=1)
    for i, sketch in enumerate(tqdm(hashes, desc="near duplicates", total=len(texts), leave=False, mininterval=1.0)):
        for j in sorted(index.query(sketch)):
            if _jaccard(shingles[i], shingles[j]) >= threshold:
                first[i] = first[j]
                break
        index.insert(i, sketch)
    return first


def with_groups(documents: Sequence[Document], *, threshold: float) -> list[Document]:
    """The documents with ``group`` set to the first member's id wherever two or more are near duplicates."""
    first = duplicate_groups([document_text(document) for document in documents], threshold=threshold)
    shared = {f for i, f in enumerate(first) if f != i}
    return [
        document.model_copy(update={"group": documents[f].doc_id}) if f in shared else document
        for document, f in zip(documents, first, strict=True)
    ]


def _shingles(text: str, size: int) -> frozenset[str]:
    words = [word for name in NAME.findall(text.lower()) for word in ([name] if name.isascii() else split_words(name))]
    if not words:  # signs alone are near duplicates of the same signs
        return frozenset([text.strip()])
    return frozenset(" ".join(words[i : i + size]) for i in range(max(len(words) - size + 1, 1)))


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)
