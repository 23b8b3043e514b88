"""A corpus read from its file as it is asked for: memory holds ids and places, not documents."""

from __future__ import annotations

import codecs
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import overload

from pydantic import ValidationError

from tandem.formats.encodings import require_file
from tandem.formats.jsonl import InputError, explain, parse_json_line
from tandem.records import Document, document_text

__all__ = ["CorpusFile", "TextFile", "texts_of"]


class TextFile(Mapping[str, str]):
    """Text by doc_id of a corpus in JSON lines, in the order of the file; every line is checked once, when it is opened.

    A document costs its id and a few hundred bytes of memory, whatever its length. The file must stay as it is.

    Args:
        path: of the corpus.

    Raises:
        InputError: the file is missing, a line is no document, or an id comes twice; names file, line, key and value.
    """

    def __init__(self, path: Path) -> None:
        require_file(path, "`dvc repro` runs the stage that writes it")
        self.path, place = path, 0
        self.places: dict[str, tuple[int, int]] = {}  # where its line begins, and its number
        with path.open("rb") as lines:
            for line_number, line in enumerate(lines, start=1):
                if line.strip():
                    doc_id = self._parse(line, line_number).doc_id
                    if doc_id in self.places:
                        raise InputError(f"{path}:{line_number}: doc_id: {doc_id!r} found a second time, ids are unique")
                    self.places[doc_id] = place, line_number
                place += len(line)

    def __len__(self) -> int:
        """Documents."""
        return len(self.places)

    def __iter__(self) -> Iterator[str]:
        """Ids, in order."""
        return iter(self.places)

    def __getitem__(self, doc_id: str) -> str:
        """The text of a document."""
        return document_text(self.document(doc_id))

    def document(self, doc_id: str) -> Document:
        """The whole document."""
        place, line_number = self.places[doc_id]
        with self.path.open("rb") as lines:
            lines.seek(place)
            return self._parse(lines.readline(), line_number)

    def items(self) -> ItemsView[str, str]:
        """Ids and texts, read through in one go."""
        return _Items(self)

    def values(self) -> ValuesView[str]:
        """Texts, read through in one go."""
        return _Values(self)

    def stream(self) -> Iterator[Document]:
        """Every document, once."""
        with self.path.open("rb") as lines:
            for line_number, line in enumerate(lines, start=1):
                if line.strip():
                    yield self._parse(line, line_number)

    def _parse(self, line: bytes, line_number: int) -> Document:
        row = parse_json_line(line.removeprefix(codecs.BOM_UTF8), f"{self.path}:{line_number}")
        try:
            return Document.model_validate(row)
        except ValidationError as error:
            raise InputError(f"{self.path}:{line_number}: {explain(error)}") from None


class _Items(ItemsView[str, str]):
    _mapping: TextFile

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((document.doc_id, document_text(document)) for document in self._mapping.stream())


class _Values(ValuesView[str]):
    _mapping: TextFile

    def __iter__(self) -> Iterator[str]:
        return (document_text(document) for document in self._mapping.stream())


class CorpusFile(Sequence[Document]):
    """The documents of a corpus in JSON lines, in the order of the file, each read when it is asked for.

    Args:
        path: of the corpus; see :class:`TextFile` for its errors.
    """

    def __init__(self, path: Path) -> None:
        self.texts = TextFile(path)
        self._doc_ids = list(self.texts)

    def __len__(self) -> int:
        """Documents."""
        return len(self._doc_ids)

    def __iter__(self) -> Iterator[Document]:
        """Every document, read through in one go."""
        return self.texts.stream()

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> list[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | list[Document]:
        """One document, or some."""
        chosen = self._doc_ids[index]
        return self.texts.document(chosen) if isinstance(chosen, str) else [self.texts.document(doc_id) for doc_id in chosen]


def texts_of(documents: Sequence[Document]) -> Mapping[str, str]:
    """Text by doc_id, of a file as it is asked for, of any other documents at once."""
    if isinstance(documents, CorpusFile):
        return documents.texts
    return {document.doc_id: document_text(document) for document in documents}
