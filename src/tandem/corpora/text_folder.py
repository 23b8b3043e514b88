"""A folder of text files: one document a file, and every file that is not read named with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tandem.formats.encodings import encoding_of, read_text
from tandem.formats.errors import InputError
from tandem.formats.identifiers import read_identifier
from tandem.records import Document

__all__ = ["TEXT_SUFFIXES", "read_folder"]

TEXT_SUFFIXES = {".txt", ".md", ".rst"}


def read_folder(folder: Path) -> tuple[list[Document], dict[str, list[str]]]:
    """The documents of a folder and of those in it, in the order of their paths, which are their ids.

    Returns:
        The documents, and the paths of what was left out, by reason; a hidden folder or a link to a folder is one entry.

    Raises:
        InputError: a name that cannot be an id, or that two files share.
    """
    documents: list[Document] = []
    left_out: dict[str, list[str]] = {}
    for path in _walk(folder):
        reason, text = _read(path)
        name = str(path.relative_to(folder))
        if reason:
            left_out.setdefault(f"file: {reason}", []).append(name.encode(errors="backslashreplace").decode())
            continue
        doc_id = read_identifier(name, where=f"{str(path)!a}: file name")
        documents.append(Document(doc_id=doc_id, text=text))
    ids = [document.doc_id for document in documents]
    twice = next((doc_id for doc_id in ids if ids.count(doc_id) > 1), None) if len(set(ids)) < len(ids) else None
    if twice:
        raise InputError(f"{folder}: '{twice}' is the name of two files, but for white space; rename one")
    return documents, left_out


def _walk(folder: Path) -> Iterator[Path]:
    """Files, and what is not gone into: hidden folders and links to folders (a link may lead back to where it lies)."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            try:
                yield from _walk(path)
            except PermissionError:
                yield path
        else:
            yield path


def _read(path: Path) -> tuple[str, str]:
    """Why a path is not read, or else its text."""
    reason = ""
    try:
        if path.name.startswith("."):
            reason = "hidden"
        elif path.is_symlink() and not path.exists():
            reason = "a link that leads nowhere, or in a circle"
        elif path.is_dir():
            reason = "a link to a folder, which is not followed" if path.is_symlink() else "a folder that may not be read"
        elif path.suffix.lower() not in TEXT_SUFFIXES:
            reason = f"{path.suffix or 'no suffix'} is not read (only {', '.join(sorted(TEXT_SUFFIXES))})"
        elif not path.is_file():
            reason = "not a regular file"
        elif b"\0" in path.read_bytes() and encoding_of(path) == "utf-8":
            reason = "binary"
        text = "" if reason else read_text(path).strip()
    except InputError:
        return f"not {encoding_of(path).upper()}; convert it to UTF-8", ""
    except OSError as error:
        return f"cannot be read ({error.strerror})", ""
    return reason or ("" if text else "empty"), text
