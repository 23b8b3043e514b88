"""Profiles: what another scale changes in params.yaml, put over it with ``tandem init --profile NAME``; nothing is copied.

An overlay is a YAML file of the sections and keys that differ. Maps are merged key by key, lists are replaced; null takes a round, an
update or a reranker out; another source of a collection takes the keys of the former one out. ``extends: NAME`` puts another overlay
under it. What comes out is a complete params.yaml with its comments, and the whole truth of a run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.formats.encodings import read_text
from tandem.runtime.params import ParamsError
from tandem.runtime.sections import dump_section, load_section, read_head, split_sections

__all__ = ["base_params", "has_uncommitted_changes", "list_profiles", "parse_changes", "render_profile"]

COLLECTIONS = ("prepare_corpus", "prepare_guard")
SOURCES = {  # keys that mean nothing to another source
    "python_api": ("packages", "documents", "test_queries"),
    "beir": ("path", "name", "test_split"),
    "files": ("path", "pairs", "test_share"),
}
OPEN = (
    "form",
    "build_index",
    "overrides",
    "files",
    "measures",
)  # maps of settings with defaults: what a params.yaml leaves out may be added
NAMED = ("rounds", "updates", "rerankers", "retrievers")  # entries by name: null takes one out
GROWING = ("rounds", "updates", "retrievers", *COLLECTIONS)  # maps that an overlay may add keys to
HEADER = "# Profile: "


def list_profiles(folder: Path) -> dict[str, str]:
    """The first comment line of each overlay in a folder, by its name."""
    return {path.stem: read_text(path).splitlines()[0].lstrip("# ") for path in sorted(folder.glob("*.yaml"))}


def base_params(path: Path) -> str:
    """The text that overlays are put over: the file as it is, or where that is a rendered profile, its newest committed state that is none.

    Raises:
        ParamsError: the file is missing, or a rendered profile with no earlier state in git.
    """
    if not path.is_file():
        raise ParamsError(f"{path}: no such file; run this in a checkout of Tandem (`git checkout {path.name}` brings it back)")
    text = read_text(path)
    if not text.startswith(HEADER):
        return text
    for commit in _git(path.parent, "log", "--format=%H", "--", path.name).split():
        earlier = _git(path.parent, "show", f"{commit}:./{path.name}")
        if earlier and not earlier.startswith(HEADER):
            return earlier
    raise ParamsError(f"{path}: is a profile already, and git has no state of it that is none; name the quickstart's with --base FILE")


def has_uncommitted_changes(path: Path) -> bool:
    """Whether a file differs from its last committed state; False where git does not know it."""
    return bool(_git(path.parent, "diff", "--name-only", "HEAD", "--", path.name).strip())


def parse_changes(words: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words as a nested map; values are read as YAML.

    Raises:
        ParamsError: a word has no equals sign, or its value is not YAML.
    """
    changes: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ParamsError(f"--set {word}: key=value is expected, such as --set prepare_corpus.path=documents.jsonl")
        inner = changes
        *path, last = key.split(".")
        for name in path:
            inner = inner.setdefault(name, {})
        inner[last] = load_section(value, f"--set {key}") if value else ""
    return changes


def render_profile(base: str, folder: Path, name: str | None, changes: Mapping[str, Any] | None = None) -> str:
    """A complete params.yaml: a base with an overlay and single changes over it.

    Args:
        base: text of the params.yaml that overlays are put over.
        folder: of overlays.
        name: of the overlay; None puts none over it.
        changes: from :func:`parse_changes`; merged key by key, in replaced sections too.

    Raises:
        ParamsError: no such overlay, an overlay that is no map of maps, or a key that the base does not have.
    """
    blocks = dict(split_sections(base))
    overlays = list(_chain(folder, name)) if name else []
    for path in overlays:
        text = read_text(path)
        for section, (_, body) in split_sections(text):
            if section in ("", "extends"):
                continue
            if section not in blocks:
                raise ParamsError(f"{path}: {section}: no such section; there are: {', '.join(key for key in blocks if key)}")
            head, before = blocks[section]
            overlay = load_section(body, str(path))
            if not isinstance(overlay[section], dict) and isinstance(load_section(before, "")[section], dict):
                raise ParamsError(f"{path}: {section}: a map of keys is expected, found {overlay[section]!r}")
            blocks[section] = (head, _merged(before, overlay, str(path)))
    for section, value in (changes or {}).items():
        if section not in blocks:
            raise ParamsError(f"--set {section}: no such key; there are: {', '.join(key for key in blocks if key)}")
        blocks[section] = (blocks[section][0], _merged(blocks[section][1], {section: value}, "--set"))
    if overlays:
        head = f"{HEADER}{name}, over the quickstart's values (`tandem init --profile {name}`).\n"
        blocks[""] = ("", head + read_head(read_text(overlays[-1])))
    return "".join(head + body for head, body in blocks.values())


def _chain(folder: Path, name: str, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Overlays from the one that is extended to the one that is asked for."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise ParamsError(f"{path}: no such profile; there are: {', '.join(list_profiles(folder))}")
    overlay = load_section(read_text(path), str(path)) or {}
    parent = overlay.get("extends") if isinstance(overlay, dict) else None
    if parent is not None:
        allowed = [other for other in list_profiles(folder) if other not in (name, *above)]
        if parent not in allowed:
            raise ParamsError(f"{path}: extends: {parent!r} found, allowed: {', '.join(allowed)}")
        yield from _chain(folder, parent, (name, *above))
    yield path


def _merged(body: str, overlay: Mapping[str, Any], source: str) -> str:
    """A section with an overlay's values put over it."""
    content = load_section(body, source)
    for section in (name for name in COLLECTIONS if isinstance(overlay.get(name), Mapping)):
        _drop_former_source(content[section], overlay[section])
    _merge(content, overlay, source)
    return dump_section(content)


def _drop_former_source(target: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    """Where an overlay names another source of a collection, take out the keys of the former one."""
    if overlay.get("source", target.get("source")) != target.get("source"):
        for key in SOURCES.get(str(target.get("source")), ()):
            target.pop(key, None)


def _merge(target: dict[str, Any], overlay: Mapping[str, Any], source: str, path: tuple[str, ...] = ()) -> None:
    for key, value in overlay.items():
        here = (*path, str(key))
        before = target.get(key)
        if key not in target and not {*path} & {*OPEN, *GROWING}:
            raise ParamsError(f"{source}: {'.'.join(here)}: no such key; allowed here: {', '.join(map(str, target))}")
        if value is None and len(path) == 1 and path[0] in NAMED:
            if key not in target:
                raise ParamsError(f"{source}: {'.'.join(here)}: nothing of this name to take out; there are: {', '.join(map(str, target))}")
            del target[key]
        elif isinstance(value, Mapping) and isinstance(before, dict) and before:
            _merge(before, value, source, here)
        else:
            target[key] = value


def _git(folder: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
