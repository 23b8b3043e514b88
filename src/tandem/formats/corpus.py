"""The corpus: documents, texts and near-duplicate groups in one object, read from its file as they are asked for."""

from __future__ import annotations

import codecs
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from functools import cached_property
from pathlib import Path
from typing import overload

from pydantic import ValidationError

from tandem.formats.encodings import require_file
from tandem.formats.jsonl import InputError, explain, parse_json_line
from tandem.records import Document, document_text

__all__ = ["Corpus"]


class Corpus(Sequence[Document]):
    """The documents of a collection in their order, their texts and groups by id: one object, opened once.

    Of a file each document is read when it is asked for, and memory holds ids and places. The file must stay as it is.

    Args:
        source: a file of documents in JSON lines, every line of which is checked now; or the documents themselves.

    Raises:
        InputError: the file is missing, a line is no document, or an id comes twice; names file, line, key and value.
    """

    texts: Mapping[str, str]
    """text by doc_id, as indexes, encoders and prompts see it"""
    ids: list[str]

    def __init__(self, source: Path | Sequence[Document]) -> None:
        self._source: _FileTexts | Sequence[Document] = _FileTexts(source) if isinstance(source, Path) else source
        if isinstance(self._source, _FileTexts):
            self.texts = self._source
        else:
            self.texts = {document.doc_id: document_text(document) for document in self._source}
        self.ids = list(self.texts)

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Corpus:
        """The corpus of some documents, which may be one already."""
        return documents if isinstance(documents, cls) else cls(documents)

    @cached_property
    def groups(self) -> dict[str, int]:
        """A number for each document, shared by near duplicates."""
        first: dict[str, int] = {}
        keys = ((document.doc_id, f"group:{document.group}" if document.group else f"id:{document.doc_id}") for document in self)
        return {doc_id: first.setdefault(key, i) for i, (doc_id, key) in enumerate(keys)}

    def __len__(self) -> int:
        """Documents."""
        return len(self._source)

    def __iter__(self) -> Iterator[Document]:
        """Every document, read through in one go."""
        return self._source.stream() if isinstance(self._source, _FileTexts) else iter(self._source)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | Sequence[Document]:
        """One document, or some."""
        if not isinstance(self._source, _FileTexts):
            return self._source[index]
        chosen = self.ids[index]
        return self._source.document(chosen) if isinstance(chosen, str) else [self._source.document(doc_id) for doc_id in chosen]


class _FileTexts(Mapping[str, str]):
    """Text by doc_id, in the order of a file; a document costs its id and a few hundred bytes of memory, whatever its length."""

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
    _mapping: _FileTexts

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((document.doc_id, document_text(document)) for document in self._mapping.stream())


class _Values(ValuesView[str]):
    _mapping: _FileTexts

    def __iter__(self) -> Iterator[str]:
        return (document_text(document) for document in self._mapping.stream())
