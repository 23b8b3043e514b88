"""What a settings class says of its fields: types, bounds, and the docstrings under them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["bounds_of", "choices", "docstring_of", "kind_of", "may_be_null", "models_in"]


def choices(annotation: Any) -> Iterator[Any]:
    """The members of a union, without what annotates them."""
    if get_origin(annotation) is Annotated:
        yield from choices(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from choices(member)
    else:
        yield annotation


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The settings that a value may be, or be made of."""
    for choice in choices(annotation):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            yield choice
        elif get_origin(choice) in (list, dict, tuple):
            yield from (model for argument in get_args(choice) for model in models_in(argument))


def may_be_null(annotation: Any) -> bool:
    """Whether null is a value."""
    return type(None) in choices(annotation)


def kind_of(annotation: Any) -> str:
    """The type of a value in a word, or the values that are allowed."""
    words = {int: "integer", float: "number", bool: "true or false", str: "text", dict: "map", list: "list"}
    kinds = []
    for choice in choices(annotation):
        if get_origin(choice) is Literal:
            kinds += [f"`{value}`" for value in get_args(choice)]
        elif get_origin(choice) in (list, dict):
            element = kind_of(get_args(choice)[-1])
            kinds.append(
                f"list of {element}s"
                if get_origin(choice) is list and element in ("text", "integer", "number")
                else words[get_origin(choice)]
            )
        elif choice is not type(None):
            kinds.append(words.get(choice, getattr(choice, "__name__", "any")))
    return ", ".join(dict.fromkeys(kinds))


def bounds_of(info: FieldInfo) -> str:
    """Both ends of a number's range; empty of what has none."""
    limits = {
        name: limit
        for data in _metadata(info.annotation, info.metadata)
        for name in ("ge", "gt", "le", "lt")
        if (limit := getattr(data, name, None)) is not None
    }
    low = f"{limits['ge']:,}" if "ge" in limits else f"above {limits['gt']:,}" if "gt" in limits else ""
    high = f"{limits['le']:,}" if "le" in limits else f"below {limits['lt']:,}" if "lt" in limits else ""
    return f"{low} to {high}" if low and high else low or high


def _metadata(annotation: Any, metadata: Sequence[Any]) -> Iterator[Any]:
    """What annotates a value, itself or as a member of a union."""
    for data in metadata:
        yield from _metadata(None, data.metadata) if hasattr(data, "metadata") else [data]
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from _metadata(inner, more)
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _metadata(member, ())


def docstring_of(schema: type[BaseModel], field: str) -> str:
    """The text under a field, in the class that defines it."""
    owners = (kind for kind in schema.__mro__ if field in inspect.get_annotations(kind))
    return next((_docstrings(owner).get(field, "") for owner in owners), "")


@cache
def _docstrings(owner: type) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for statement, following in pairwise(body.body):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = inspect.cleandoc(text)
    return texts
