"""Keys and values of older params.yaml files: what each is called today, and a file rewritten so, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from tandem.formats.errors import ParamsError
from tandem.runtime.sections import dump_section, load_section, split_sections

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
    ("kind", re.compile(r"^shards$"), "exact"),
    ("launcher", re.compile(r"configs/accelerate-(?=[\w-]+\.yaml)"), "configs/accelerate/"),
    ("teach", re.compile(r"^true$"), "judge"),
    ("teach", re.compile(r"^false$"), "off"),
    ("train_generator.base", re.compile(r"^builtin$"), "smollm2"),  # an encoder's builtin stays what it is
)
"""keys whose values are others today: the key, with the section where it has to be told apart, what is looked for, and what takes its
place; true and false are looked for by name"""
MOVED: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("evaluate_retriever", "index", "check_queries"), ("evaluate_retriever", "check_queries")),
    (("evaluate_retriever", "index"), ("build_index",)),
    (("evaluate_retriever", "chunk_documents"), ()),
    (("score_difficulty", "chunk_documents"), ()),
    (("evaluate_reranked", "chunk_documents"), ()),
    (("evaluate_reranked", "depth"), ()),
    (("train_retriever", "dev_pseudo_queries"), ("prepare_dev", "documents")),
)
"""settings that stand in another section today, or in none"""
ADDED: tuple[tuple[str, tuple[str, ...], Any], ...] = (
    ("evaluate_retriever", ("build_index", "kind"), "exact"),
    ("evaluate_retriever", ("evaluate_retriever", "check_queries"), 100),
    ("train_retriever", ("prepare_dev", "documents"), 200),
    ("train_retriever", ("prepare_dev", "keep_within"), 20),
    ("mine_negatives", ("fusion",), {"arms": ["bm25", "dense", "colbert"], "teacher_round": "previous"}),
    ("mine_negatives", ("mine_negatives", "mask_above"), None),
    ("train_retriever", ("train_retriever", "top_negatives"), 0),
    ("train_retriever", ("train_retriever", "merge"), 1.0),
    ("evaluate_reranked", ("index_expanded", "queries_per_document"), 10),
    ("evaluate_reranked", ("evaluate_expanded", "depth"), 100),
    ("evaluate_reranked", ("evaluate_reranked", "scorers"), ["relevance"]),
)
"""what a complete file has today: where it has such a section, this place has at least this value"""
TOUCHED = {place[0] for pair in MOVED for place in pair if place} | {place[0] for _, place, _ in ADDED}
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
        The text with today's keys, and what was changed: renamed, then moved.

    Raises:
        ParamsError: not YAML, a value that has no meaning today, or a key that stands there under both names.
    """
    content = load_section(text, source)
    if not isinstance(content, CommentedMap):
        raise ParamsError(f"{source}: a mapping of sections is expected, found {type(content).__name__}")
    edits = sorted(dict.fromkeys(_edits(content, source)), key=lambda edit: edit.start)  # an alias is met more than once
    lines = text.split("\n")
    for edit in reversed(edits):
        lines[edit.line] = _edit_line(lines[edit.line], edit)
    moved, moves = _move_settings("\n".join(lines), source)
    return moved, [*dict.fromkeys(edit.change for edit in edits), *moves]


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
        text = str(value).lower() if isinstance(value, bool) else value
        if ".".join(place).endswith(name) and name.split(".")[-1] == key and isinstance(text, str) and pattern.search(text):
            line, column = node.lc.value(key)
            after = pattern.sub(replacement, text)
            told = Change(line + 1, f"{'.'.join(place)}: {text}", f"{'.'.join(place)}: {after}")
            yield _Edit(line, column, "" if isinstance(value, bool) else text, after, told)


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


def _move_settings(text: str, source: str) -> tuple[str, list[Change]]:
    """Settings that stand in another section today, and those that a complete file has besides; other sections stay byte for byte."""
    blocks = dict(split_sections(text))
    whole = {name: load_section(body, source) for name, (_, body) in blocks.items() if name in TOUCHED}
    before = {name: dump_section(content) for name, content in whole.items()}
    changes: list[Change] = []
    for old, new in MOVED:
        if (value := _take(whole, old)) is not None:
            line = text[: text.index(f"{old[0]}:")].count("\n") + 1
            after = (
                f"{'.'.join(new)}: {value}"
                if new
                else "dropped: indexes are built and searched once, by build_index and evaluate_retriever"
            )
            changes.append(Change(line, f"{'.'.join(old)}: {value}", after))
            if new:
                _put(whole, new, value, source)
    for needed, place, value in ADDED if "seed" in blocks else ():  # an overlay has no seed, and need not be complete
        if needed in blocks and not _has(whole, place):
            _put(whole, place, value, source)
            changes.append(Change(len(text.splitlines()), "(missing)", f"{'.'.join(place)}: {value}"))
    for name, content in whole.items():
        if dump_section(content) != before.get(name):
            blocks[name] = (blocks.get(name, ("\n", ""))[0], dump_section(content))
    return "".join(head + body for head, body in blocks.values()), changes


def _take(whole: dict[str, Any], place: tuple[str, ...]) -> Any:
    """Remove a value and return it; None where there is none."""
    node = whole.get(place[0])
    for key in place[:-1]:
        node = node.get(key) if isinstance(node, dict) else None
    return node.pop(place[-1], None) if isinstance(node, dict) else None


def _has(whole: dict[str, Any], place: tuple[str, ...]) -> bool:
    node: Any = whole.get(place[0])
    for key in place:
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def _put(whole: dict[str, Any], place: tuple[str, ...], value: Any, source: str) -> None:
    """Set a value where there is none; a map is put key by key."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _put(whole, (*place, str(key)), inner, source)
        return
    if _has(whole, place):
        raise ParamsError(f"{source}: {'.'.join(place)} is there, and what it was called before is too; remove one of the two")
    node = whole.setdefault(place[0], CommentedMap())
    for key in place[:-1]:
        node = node.setdefault(key, CommentedMap())
    node[place[-1]] = value
