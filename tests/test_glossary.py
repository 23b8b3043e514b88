"""docs/glossary.md: sorted, each term once, and every place that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/glossary.md").read_text().splitlines()
    if re.match(r"\| (?!term )", line)
]


def test_terms_are_sorted_and_stand_once() -> None:
    terms = [row[0] for row in ROWS]
    assert len(terms) > 40
    assert terms == sorted(set(terms), key=str.lower)


def test_a_meaning_is_one_short_sentence() -> None:
    for term, meaning, _ in ROWS:
        assert meaning.endswith("."), term
        assert ". " not in meaning, term
        assert len(meaning.split()) <= 25, term


def test_every_place_is_there() -> None:
    """A file or folder of the project, or a stage."""
    for term, _, place in ROWS:
        name = place.strip("`")
        assert (ROOT / name).exists() or (ROOT / f"stages/{name}.py").exists(), (term, name)
