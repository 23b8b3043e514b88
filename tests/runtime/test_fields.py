"""What a settings class says of its fields."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from tandem.runtime.fields import bounds_of, docstring_of, kind_of, may_be_null, models_in
from tandem.settings import OpenShare, Settings, Steps, Tokens


class Inner(Settings):
    """Settings inside others."""

    rank: Annotated[int, Field(ge=-1, lt=8)]


class Base(Settings):
    steps: Steps
    """of the base"""
    share: OpenShare | None
    """defined here"""


class Whole(Base):
    steps: Steps
    """of the class that defines it last"""
    mode: Literal["off", "on"]
    names: list[str]
    tokens: Annotated[Tokens | None, "a note"] = None
    inner: Inner | None = None
    """
    Over
    two lines.
    """
    many: dict[str, Inner] = {}
    flag: bool = False


@pytest.mark.parametrize(
    ("field", "kind", "bounds", "null"),
    [
        ("steps", "integer", "1 to 100,000,000", False),
        ("share", "number", "0 to below 1", True),
        ("mode", "`off`, `on`", "", False),
        ("names", "list of texts", "", False),
        ("tokens", "integer", "1 to 1,000,000", True),
        ("flag", "true or false", "", False),
    ],
)
def test_types_and_bounds(field: str, kind: str, bounds: str, null: bool) -> None:
    info = Whole.model_fields[field]
    assert (kind_of(info.annotation), bounds_of(info), may_be_null(info.annotation)) == (kind, bounds, null)


def test_bounds_of_an_annotated_field() -> None:
    assert bounds_of(Inner.model_fields["rank"]) == "-1 to below 8"


def test_docstrings_come_from_the_class_that_defines_the_field() -> None:
    assert docstring_of(Whole, "steps") == "of the class that defines it last"
    assert docstring_of(Whole, "share") == "defined here"
    assert docstring_of(Whole, "inner") == "Over\ntwo lines."
    assert docstring_of(Whole, "mode") == ""


def test_settings_inside_a_field() -> None:
    found = {name: list(models_in(info.annotation)) for name, info in Whole.model_fields.items()}
    assert (found["inner"], found["many"], found["names"]) == ([Inner], [Inner], [])
