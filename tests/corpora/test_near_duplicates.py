"""Groups of near duplicate documents."""

from __future__ import annotations

from tandem.corpora.near_duplicates import duplicate_groups, with_groups
from tandem.records import Document


def test_near_duplicates() -> None:
    long = "the quick brown fox jumps over the lazy dog and runs far away into the dark green forest at night"
    texts = [long, "something else entirely different from it", long + " again", long.upper(), "something"]
    assert duplicate_groups(texts) == [0, 1, 0, 0, 4]
    grouped = with_groups([Document(doc_id=str(i), text=text) for i, text in enumerate(texts)], threshold=0.8)
    assert [document.group for document in grouped] == ["0", "", "0", "0", ""]
