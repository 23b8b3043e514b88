"""The one configuration: a section of params.yaml, read as the frozen, strict model that a stage declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tandem.formats.encodings import read_text, require_file
from tandem.formats.errors import InputError, ParamsError
from tandem.runtime.migration import explain_renamed
from tandem.runtime.plan import Overrides, PlanName, merge_settings, read_overrides
from tandem.settings import SettingError, Settings

__all__ = ["ParamsError", "load_params", "locate_error", "read_params"]

ENDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}


S = TypeVar("S", bound=Settings)


def load_params(path: Path, section: str, schema: type[S], *, entry: tuple[PlanName, str] | None = None) -> S:
    """Read one section; fields of ``schema`` that the section lacks are looked up among the file's top-level keys.

    Where these are all that it needs, the file needs no section.

    Args:
        path: a params.yaml.
        section: the stage's name.
        schema: its model; a field such as ``seed`` or ``precision`` that all stages share stands at the top level.
        entry: the round or update that the stage belongs to, whose overrides are put over the section.

    Raises:
        ParamsError: names the file, the key, the value found and what is allowed.
    """
    content = read_params(path)
    values = content.get(section)
    if section not in content and all(key in content for key, field in schema.model_fields.items() if field.is_required()):
        values = {}  # a stage without settings of its own
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: no section '{section}'; there are: {', '.join(sorted(map(str, content)))}")
    shared = {key: content[key] for key in schema.model_fields if key not in values and key in content}
    overrides = read_overrides(content, *entry, path) if entry else Overrides()
    values_read = merge_settings({**shared, **values}, overrides.by_stage.get(section, {}))
    try:
        return schema.model_validate(values_read)
    except ValidationError as error:
        first = _most_telling(error)
        location = _without_members(first["loc"], values_read)
        place = overrides.place_of(section, location)
        if not place:  # a shared value stands at the top level
            place = ".".join([*([] if location and location[0] in shared else [section]), *map(str, location)])
        if first["type"] == "value_error" and overrides.by_stage.get(section):
            place += f", with {overrides.entry}'s values"
        raise ParamsError(_explain_value(path, place, schema, first)) from None


def read_params(path: Path) -> dict[str, Any]:
    """The content of a params.yaml.

    Raises:
        ParamsError: the file is missing, not YAML (with the line), or no map of sections.
    """
    remedy = "`tandem init` writes a complete one"
    try:
        require_file(path, remedy)
        text = read_text(path)
        content = YAML(typ="safe").load(text)
    except InputError as error:
        raise ParamsError(str(error)) from None
    except MarkedYAMLError as error:
        raise ParamsError(_explain(path, text.splitlines(), error)) from None
    except YAMLError as error:
        raise ParamsError(f"{path}: not YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(content, dict):
        held = "nothing" if content is None else type(content).__name__
        raise ParamsError(f"{path}: {held} found, a mapping of sections is expected; {remedy}")
    return content


def locate_error(
    error: SettingError, path: Path, section: str, params: Settings, *, entry: tuple[PlanName, str] | None = None
) -> ParamsError:
    """The same error with its file and its whole key.

    Args:
        error: about settings that are a part of ``params``, or ``params`` itself; about others it names the key alone.
        path: of the params.yaml that the section was read from.
        section: the stage's name.
        params: what was read.
        entry: the round or update whose overrides were put over the section.
    """
    place = next((keys for keys, settings in _settings_in(params, ()) if settings is error.settings), None)
    if place is None and error.settings is None and error.key.split(".")[0] in type(params).model_fields:
        place = ()  # it says of none that it is about them, and has a key of this section
    if place is None:
        return ParamsError(f"{path}: {error}")
    keys = (*place, *error.key.split("."))
    content = read_params(path)
    shared = keys[0] in content and keys[0] not in content.get(section, {})  # a shared value stands at the top level
    overridden = read_overrides(content, *entry, path).place_of(section, keys) if entry else ""
    return ParamsError(f"{path}: {overridden or '.'.join(keys if shared else (section, *keys))}: {error.problem}")


def _settings_in(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Settings]]:
    """A value's settings and those inside them, each with the keys that lead to it."""
    if isinstance(value, Settings):
        yield keys, value
        children: dict[Any, Any] = {key: getattr(value, key) for key in type(value).model_fields}
    else:
        children = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
    for key, child in children.items():
        yield from _settings_in(child, (*keys, str(key)))


def _without_members(location: tuple[str | int, ...], values: Any) -> tuple[str | int, ...]:
    """The place of a value without the name of the union's member that it was read as, which is no key."""
    for depth, step in enumerate(location):
        if not isinstance(values, dict | list):
            return location[:depth]
        values = values.get(step) if isinstance(values, dict) else values[step] if isinstance(step, int) else None
    return location


def _most_telling(error: ValidationError) -> ErrorDetails:
    """The first error; where a key is missing, the first about an unknown one, which may be that key under another name."""
    errors = error.errors()
    unknown = [item for item in errors if item["type"] == "extra_forbidden"]
    return unknown[0] if unknown and errors[0]["type"] == "missing" else errors[0]


def _explain_value(path: Path, key: str, schema: type[BaseModel], error: ErrorDetails) -> str:
    """The one line on a value that a schema refuses: key, value, what is allowed, and of a renamed key its name today."""
    if error["type"] == "value_error":  # of a validator, which names a key of the section
        link = ": " if " " in key else "."
        return f"{path}: {key}{link}{error['msg'].removeprefix('Value error, ')}"
    message = f"{path}: {key}: {error['msg']}"
    if error["type"] == "missing":
        return message
    hint = _explain_bounds(schema, error)
    if error["type"] == "extra_forbidden":
        hint = explain_renamed(key, path) or f"; keys allowed: {', '.join(_keys_beside(schema, error))}"
    return f"{message}, found {error['input']!r:.80}{hint}"


def _explain_bounds(schema: type[BaseModel], error: ErrorDetails) -> str:
    """Both ends of a number's range, where the error is about one of them."""
    if error["type"] not in BOUNDS:
        return ""
    annotations: list[Any] = [schema]
    for step in error["loc"]:
        annotations = [inner for annotation in annotations for inner in _inside(annotation, step)]
    ends = [
        f"{word} {getattr(item, limit)}" for item in annotations for limit, word in ENDS.items() if getattr(item, limit, None) is not None
    ]
    return f"; allowed: {', '.join(ends)}" if ends else ""


def _keys_beside(schema: type[BaseModel], error: ErrorDetails) -> list[str]:
    """The keys that are allowed where an unknown one was found."""
    places: list[Any] = [schema]
    for step in error["loc"][:-1]:
        places = [inner for place in places for inner in _inside(place, step)] or places  # the name of a union's member is no place
    models = [place for place in places if isinstance(place, type) and issubclass(place, BaseModel)]
    return list(dict.fromkeys(key for model in models or [schema] for key in model.model_fields))


def _inside(annotation: Any, step: str | int) -> Iterator[Any]:
    """What stands at a place of a schema: annotations, and the metadata that bounds them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if step in annotation.model_fields:
            field = annotation.model_fields[str(step)]
            yield from field.metadata
            yield from _members(field.annotation)
    elif isinstance(step, str) or get_origin(annotation) in (list, tuple):
        yield from (item for argument in get_args(annotation) for item in _members(argument))


def _members(annotation: Any) -> Iterator[Any]:
    """An annotation, with what a union or Annotated holds."""
    yield annotation
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        yield from (item for data in metadata for item in getattr(data, "metadata", [data]))
        yield from _members(inner)
    elif get_origin(annotation) in (Union, UnionType):
        for argument in get_args(annotation):
            yield from _members(argument)


def _explain(path: Path, lines: Sequence[str], error: MarkedYAMLError) -> str:
    told = " ".join(f"{error.context or ''} {error.problem or ''}".split())
    if not error.problem_mark:
        return f"{path}: not YAML: {told}"
    index = min(error.problem_mark.line, len(lines) - 1)  # the end of the file is no line
    return f"{path}:{index + 1}: not YAML: {told[:200]}, found {lines[index]!r:.80}"
