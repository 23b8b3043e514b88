"""Tables that DVC plots."""

from __future__ import annotations

import math
from pathlib import Path

from tandem.formats.tables import write_curve, write_table


def test_a_curve_has_a_row_a_point(tmp_path: Path) -> None:
    write_curve(tmp_path / "c.csv", {"loss": [(1, 0.5), (2, math.nan)], "dev": [(2, 0.25)]})
    assert (tmp_path / "c.csv").read_text() == "step,name,value\n1,loss,0.5\n2,loss,\n2,dev,0.25\n"


def test_cells_that_a_row_lacks_are_empty(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [{"a": 1, "b": "x,y"}, {"a": 2}], ["a", "b"])
    assert (tmp_path / "t.csv").read_text() == 'a,b\n1,"x,y"\n2,\n'
