"""Small tables for DVC plots: curves and rounds, as CSV with one row a point."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tandem.formats.jsonl import write_text

__all__ = ["write_curve", "write_table"]


def write_curve(path: Path, curves: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Write curves as rows of ``step, name, value``, whole or not at all."""
    rows = [{"step": s, "name": name, "value": v} for name, points in curves.items() for s, v in points]
    write_table(path, rows, ["step", "name", "value"])


def write_table(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write rows as CSV with a header, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def _cell(value: object) -> object:
    """Nothing where a number is not finite: DVC and spreadsheets leave such a point out."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
