"""Queries that another program wrote, as if the generator had: a file in place of a model."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tandem.formats.encodings import require_file
from tandem.formats.identifiers import read_identifier
from tandem.formats.jsonl import InputError, explain, read_json_lines
from tandem.generators.requests import RequestSettings
from tandem.records import Document
from tandem.settings import SettingError

__all__ = ["import_queries"]


class ImportedQuery(BaseModel):
    """A line of the file; keys other than these are let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    text: str
    doc_id: str = Field(min_length=1)


def import_queries(
    path: Path, documents: Sequence[Document], settings: RequestSettings, *, seed: int, held_out: Collection[str] = ()
) -> list[tuple[str, str]]:
    """Documents' ids and queries, from a JSONL file of ``{text, doc_id}``; as many as a generator would have written.

    Args:
        path: of the file.
        documents: the corpus.
        settings: how many of each; all where there are fewer.
        seed: of the draws.
        held_out: doc_ids whose queries are left out.

    Raises:
        SettingError: no file is named.
        InputError: no such file, no query in it, a bad line, or a doc_id that is not in the corpus, with file and line.
    """
    remedy = "a JSONL file of {text, doc_id} is expected"
    if path == Path():
        raise SettingError("file", f"nothing found; {remedy}")
    require_file(path, remedy)
    known = {document.doc_id for document in documents}
    texts: dict[str, list[str]] = {}
    for line_number, raw in read_json_lines(path):
        try:
            if "doc_id" in raw:
                raw["doc_id"] = read_identifier(raw["doc_id"], where=f"{path}:{line_number}: doc_id:")
            row = ImportedQuery.model_validate(raw)
        except ValidationError as error:
            raise InputError(f"{path}:{line_number}: {explain(error)}") from None
        if row.doc_id not in known:
            raise InputError(f"{path}:{line_number}: doc_id {row.doc_id!r} is not in the corpus; take the line out or add the document")
        texts.setdefault(row.doc_id, []).append(row.text)
    if not texts:
        raise InputError(f"{path}: no query in it; {remedy}")
    for doc_id in held_out:
        texts.pop(doc_id, None)
    rng = random.Random(f"imported:{seed}")
    chosen = rng.sample(sorted(texts), min(settings.sampled_documents, len(texts)))
    return [
        (doc_id, text)
        for doc_id in sorted(chosen)
        for text in rng.sample(texts[doc_id], min(settings.queries_per_document, len(texts[doc_id])))
    ]
