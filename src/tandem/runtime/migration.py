"""Keys and values of older params.yaml files: what each is called today, and a file rewritten so, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from tandem.formats.errors import ParamsError

__all__ = ["RENAMED", "VALUES", "Change", "Rename", "explain_renamed", "find_rename", "migrate"]


@dataclass(frozen=True)
class Rename:
    """A key that has another name today."""

    old: str
    new: str
    sections: tuple[str, ...] = ()
    """top-level keys that it is meant in; none: wherever it stands"""
    convert: Callable[[Any], Any] | None = None
    """today's value from the older one"""
    meaning: str = ""
    """of the value today, where it is another"""


@dataclass(frozen=True)
class Change:
    """One thing that a rewritten file says otherwise."""

    line: int
    before: str
    after: str


def _reciprocal(scale: Any) -> float:
    if isinstance(scale, bool) or not isinstance(scale, int | float) or scale <= 0:
        raise ValueError(f"{scale!r} found, a number above 0 is expected")
    return float(f"{1 / scale:.12g}")


WINDOWS = ("mine_negatives", "prepare_ranking")
RENAMED = (
    Rename("scale", "temperature", convert=_reciprocal, meaning="one over the scale"),
    Rename("first", "rank_start", WINDOWS),
    Rename("first", "rerank_depth", ("evaluate_reranked",)),
    Rename("last", "rank_end", (*WINDOWS, "prepare_candidates")),
    Rename("number", "negatives_per_query", WINDOWS),
    Rename("number", "candidates_per_query", ("prepare_candidates",)),
    Rename("number", "sampled_documents", ("evaluate_generators",)),
    Rename("warmup_share", "warmup_ratio"),
    Rename("maximum_tokens", "max_length"),
    Rename("maximum_query_tokens", "max_query_length"),
    Rename("dense_maximum_tokens", "dense_max_length"),
    Rename("maximum_gradient_norm", "max_grad_norm"),
    *(Rename(f"maximum_{key}", f"max_{key}") for key in ("new_tokens", "words", "label", "length_difference")),
    *(Rename(f"minimum_{key}", f"min_{key}") for key in ("words", "label", "margin", "accuracy", "pairs", "distinct", "spearman")),
)
VALUES = (
    ("rows", re.compile(r"^ranking/"), "out/ranking/"),
    ("launcher", re.compile(r"configs/accelerate-(?=[\w-]+\.yaml)"), "configs/accelerate/"),
)
"""keys whose values name files that lie elsewhere today: the key, what is looked for, and what takes its place"""
NUMBER = re.compile(r"[^\s,}\]#]+")
COMMENT = re.compile(r"^(.*?\S)( {2,})(#.*)$")


def find_rename(key: Sequence[str]) -> Rename | None:
    """What a key is called today; None of one that has no other name.

    Args:
        key: from the top level of params.yaml, such as ``("mine_negatives", "first")``.
    """
    for rename in RENAMED:
        if len(key) > 1 and rename.old == key[-1] and (not rename.sections or {*rename.sections} & {*key}):
            return rename
    return None


def explain_renamed(key: str, path: Path) -> str:
    """The end of an error on an unknown key: what it is called today, and the command that rewrites the file; else nothing."""
    names = key.split(".")
    rename = find_rename(names)
    if rename is None:
        return ""
    meaning = f", {rename.meaning}" if rename.meaning else ""
    return f"; it is called {'.'.join([*names[:-1], rename.new])} now{meaning}: `tandem migrate-params {path}` rewrites the file"


def migrate(text: str, source: str) -> tuple[str, list[Change]]:
    """Rewrite an older params.yaml, or overlay of one, with today's keys; all else stays as it is, byte for byte.

    Args:
        text: of the file.
        source: its name, for errors.

    Returns:
        The text with today's keys, and what was changed, in the file's order.

    Raises:
        ParamsError: not YAML, a value that has no meaning today, or a key that stands there under both names.
    """
    try:
        content = YAML().load(text)
    except YAMLError as error:
        raise ParamsError(f"{source}: not YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(content, CommentedMap):
        raise ParamsError(f"{source}: a mapping of sections is expected, found {type(content).__name__}")
    edits = sorted(dict.fromkeys(_edits(content, source)), key=lambda edit: edit.start)  # an alias is met more than once
    lines = text.split("\n")
    for edit in reversed(edits):
        lines[edit.line] = _edit_line(lines[edit.line], edit)
    return "\n".join(lines), list(dict.fromkeys(edit.change for edit in edits))


@dataclass(frozen=True)
class _Edit:
    line: int
    column: int
    old: str
    new: str
    change: Change

    @property
    def start(self) -> tuple[int, int]:
        return self.line, self.column


def _edits(node: Any, source: str, above: tuple[str, ...] = ()) -> Iterator[_Edit]:
    """The places of a file that change: of each a line, a column, and what stands there before and after."""
    if isinstance(node, CommentedSeq):
        for item in node:
            yield from _edits(item, source, above)
    if not isinstance(node, CommentedMap):
        return
    for key, value in node.items():
        place = (*above, str(key))
        if rename := find_rename(place):
            yield from _renamed(node, rename, place, source)
        else:
            yield from _moved(node, place)
        yield from _edits(value, source, place)


def _renamed(node: CommentedMap, rename: Rename, place: tuple[str, ...], source: str) -> Iterator[_Edit]:
    name, value = ".".join(place), node[rename.old]
    (key_line, key_column), (line, column) = node.lc.key(rename.old), node.lc.value(rename.old)
    if rename.new in node:
        raise ParamsError(f"{source}:{key_line + 1}: {name}: {rename.new}, as it is called now, is there too; remove one of the two")
    try:
        converted = rename.convert(value) if rename.convert else value
    except ValueError as error:
        raise ParamsError(f"{source}:{line + 1}: {name}: {error}") from None
    after = ".".join([*place[:-1], rename.new])
    told = Change(key_line + 1, f"{name}: {value}" if rename.convert else name, f"{after}: {converted}" if rename.convert else after)
    yield _Edit(key_line, key_column, rename.old, rename.new, told)
    if rename.convert:
        yield _Edit(line, column, "", repr(converted), told)


def _moved(node: CommentedMap, place: tuple[str, ...]) -> Iterator[_Edit]:
    key = place[-1]
    value = node.get(key)
    for name, pattern, replacement in VALUES:
        if name == key and isinstance(value, str) and pattern.search(value):
            line, column = node.lc.value(key)
            after = pattern.sub(replacement, value)
            yield _Edit(line, column, value, after, Change(line + 1, f"{'.'.join(place)}: {value}", f"{'.'.join(place)}: {after}"))


def _edit_line(line: str, edit: _Edit) -> str:
    """A line with one place changed; the comment at its end stays in its column where there is room."""
    rest = line[edit.column :]
    old = edit.old or NUMBER.match(rest)[0]  # type: ignore[index]  # the parser read a number here
    if old not in rest:
        raise ParamsError(f"line {edit.line + 1}: {edit.change.before}: its value stands on several lines; write it on one")
    changed = line[: edit.column] + rest.replace(old, edit.new, 1)
    before, after = COMMENT.match(line), COMMENT.match(changed)
    if not before or not after:
        return changed
    return after[1].ljust(max(len(before[1] + before[2]), len(after[1]) + 2)) + after[3]
