"""Paths of LLM-Embedder's data: lists with globs, paths below a data root, and names of files that are made of others."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tandem.formats.errors import InputError
from tandem.settings import SettingError

__all__ = ["DerivedField", "DerivedFile", "derived_files", "derived_path", "parse_derived", "resolve_path", "resolve_paths"]

PREFIX = "llm-embedder"
DerivedField = Literal["result", "key", "neg", "scored"]
"""what a file has that the file which it is made of has not: results, candidates, negatives, a teacher's scores"""
FIELDS: tuple[str, ...] = get_args(DerivedField)


@dataclass(frozen=True, slots=True)
class DerivedFile:
    """A file that is made of another, ``source``: what it adds, and by which name its maker goes."""

    path: Path
    source: Path
    field: DerivedField
    save_name: str


def resolve_path(name: str, *, data_root: Path | None = None) -> Path:
    """The path that a name means: ``llm-embedder:qa/nq/test.json`` is a file below the data root, any other name the path itself.

    Raises:
        SettingError: the name is empty, needs a data root and there is none, or has the prefix without its colon.
    """
    prefix, colon, rest = name.partition(":")
    if colon and prefix == PREFIX:
        if data_root is None:
            raise SettingError(
                "data_root", f"nothing found, but '{name}' is a path below it; give the folder that holds qa, chat and so on"
            )
        return data_root / rest.lstrip("/")
    if not name.strip():
        raise SettingError("path", f"{name!r} found, the path of a file is expected")
    if Path(name).parts[0] == PREFIX and not Path(name).exists():  # as the published document has it
        raise SettingError(
            "path", f"'{name}' found, which is no file; a path below data_root has a colon: {PREFIX}:{name[len(PREFIX) + 1 :]}"
        )
    return Path(name)


def resolve_paths(names: Sequence[str], *, data_root: Path | None = None) -> list[Path]:
    """The files of a list of names, in its order; each name may be a glob, whose files are sorted.

    A file that is named twice stands twice, as who takes more of a data set asks for it; a file of one glob stands once.

    Raises:
        InputError: a name or glob that is no file.
        SettingError: as :func:`resolve_path` says.
    """
    if isinstance(names, str):
        raise SettingError("path", f"{names!r} found, a list of paths is expected")
    files: list[Path] = []
    for name in names:
        path = resolve_path(name, data_root=data_root)
        if path.is_file():  # a name with brackets is a file before it is a glob
            files.append(path)
            continue
        matched = sorted(Path(match) for match in glob.glob(str(path), recursive=True) if Path(match).is_file())  # noqa: PTH207
        if not matched:
            kind = "glob that matches no file" if glob.has_magic(str(path)) else "path of no file"
            raise InputError(f"{path}: a {kind}, named as '{name}'; give a file that exists")
        files += matched
    return files


def derived_path(path: Path, field: DerivedField, save_name: str, *, folder: Path | None = None) -> Path:
    """The name of a file that is made of another: ``train.json`` with negatives of ``bm25`` is ``train.neg.bm25.json``.

    Args:
        path: of the file that it is made of.
        field: what it adds.
        save_name: who made it; dots are allowed, but for parts that are fields, by which the name is read back.
        folder: to put it in; None puts it beside the other.

    Raises:
        SettingError: no such field, or a name that is empty, holds a slash, or has a part that is a field.
    """
    if field not in FIELDS:
        raise SettingError("field", f"{field!r} found, allowed: {', '.join(FIELDS)}")
    parts = save_name.split(".")
    if not all(parts) or any(sign in save_name for sign in "/\\\0") or {*parts} & {*FIELDS}:
        told = f"allowed: a name without slashes, which neither starts nor ends with a dot, and of whose parts none is {', '.join(FIELDS)}"
        raise SettingError("save_name", f"{save_name!r} found; {told}")
    return (folder or path.parent) / f"{path.stem}.{field}.{save_name}{path.suffix}"


def parse_derived(path: Path) -> DerivedFile | None:
    """What the name of a file says that it is made of, or None where it is no such name; of several fields the last counts."""
    parts = path.stem.split(".")
    at = next((i for i in range(len(parts) - 2, 0, -1) if parts[i] in FIELDS), None)
    if at is None or not all(parts[at + 1 :]):
        return None
    source = path.with_name(".".join(parts[:at]) + path.suffix)
    field: DerivedField = parts[at]  # type: ignore[assignment]
    return DerivedFile(path, source, field, ".".join(parts[at + 1 :]))


def derived_files(path: Path) -> list[DerivedFile]:
    """The files beside a file that are made of it, and of those in turn, sorted by name."""
    made = {}
    for sibling in sorted(path.parent.iterdir()):
        derived = parse_derived(sibling) if sibling.is_file() else None
        if derived is not None:
            made[sibling] = derived
    return [derived for derived in made.values() if _descends(derived, path)]


def _descends(derived: DerivedFile, path: Path) -> bool:
    source: DerivedFile | None = derived
    while source is not None:
        if source.source == path:
            return True
        source = parse_derived(source.source)
    return False
