"""Figures that take their colours from the page."""

from __future__ import annotations

from xml.etree import ElementTree

from tandem.reporting.figures import bars, curves, intervals, stacks


def test_every_drawing_says_its_numbers_in_words() -> None:
    drawings = {
        "nDCG@10 with 95 % intervals: a 0.500": intervals([{"system": "a", "x": 0.5, "low": 0.4, "high": 0.6}], "x", "nDCG@10"),
        "loss over step: a, b": curves({"a": [(1, 0.5), (2, 0.4)], "b": [(1, 0.1)]}, "loss", "step"),
        "queries: r1: bm25 3, kept 4; r2: kept 5": stacks({"r1": [("bm25", 3), ("kept", 4)], "r2": [("kept", 5)]}, "queries"),
        "queries by difficulty: g2": bars({"g2": [(0.0, 3), (0.5, 2)]}, "queries", "difficulty"),
    }
    for label, drawing in drawings.items():
        root = ElementTree.fromstring(drawing)
        assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", label)
        assert {"width", "height"} & set(root.attrib) == set()
        assert "var(--ink)" in drawing
        assert "#0a000" not in drawing


def test_the_same_drawing_has_the_same_bytes() -> None:
    first, second = (curves({"a": [(1, 0.5), (2, 0.4)]}, "loss", "step") for _ in range(2))
    assert first == second
