"""Fine-tuning data of other programs as a collection: supervised rows as documents and labelled pairs, preferences as preference pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tandem.formats.errors import InputError
from tandem.formats.llama_factory import PreferenceRow, SupervisedRow
from tandem.records import Document, PreferencePair
from tandem.text import normalize_query

__all__ = ["DocumentSide", "QueryRow", "content_id", "normalize_document", "to_pairs", "to_preferences"]

DocumentSide = Literal["prompt", "completion"]


class QueryRow(BaseModel):
    """A labelled pair as :func:`tandem.corpora.files.load_pairs` reads it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    query: str = Field(min_length=1)
    doc_id: str


def normalize_document(text: str) -> str:
    """What tells one document's text from another's: all of it but white space."""
    return " ".join(text.split())


def content_id(text: str) -> str:
    """The id of a document without one, made of its text: the same in every file and on every machine."""
    return "d" + hashlib.sha256(normalize_document(text).encode()).hexdigest()[:16]


def to_pairs(
    rows: Sequence[SupervisedRow], *, document: DocumentSide = "prompt", instruction: str = ""
) -> tuple[list[Document], list[QueryRow]]:
    """Documents and labelled pairs, in the order of the rows; a document of several rows stands once, and so does a pair.

    Args:
        rows: of a supervised data set.
        document: the side of a row that is the document, as ``tandem export sft`` writes it in the prompt; the other is the query.
        instruction: text that every prompt begins with, which is part of neither.

    Raises:
        InputError: a row without a document or query, or whose prompt does not begin with the instruction; names it.
    """
    documents: dict[str, Document] = {}
    pairs: dict[tuple[str, str], QueryRow] = {}
    for place, row in enumerate(rows):
        prompt, completion = _without(instruction, row.prompt, place), row.completion.strip()
        text, query = (prompt, completion) if document == "prompt" else (completion, prompt)
        for side, value in (("document", text), ("query", query)):
            if not value:
                raise InputError(f"row {place}: no {side}; take the row out")
        doc_id = content_id(text)
        documents.setdefault(doc_id, Document(doc_id=doc_id, text=text))
        pairs.setdefault((normalize_query(query), doc_id), QueryRow(query=query, doc_id=doc_id))
    return list(documents.values()), list(pairs.values())


def to_preferences(rows: Sequence[PreferenceRow], texts: Mapping[str, str], *, instruction: str = "") -> list[PreferencePair]:
    """Preference pairs of documents of a corpus, in the order of the rows; repeated ones and pairs of two equal queries are left out.

    Args:
        rows: of a preference data set.
        texts: of the corpus, by doc_id; a document is found by its text, white space aside.
        instruction: text that every prompt begins with, which is no part of the document.

    Raises:
        InputError: a row whose document the corpus lacks, without a query, or whose prompt does not begin with the instruction.
    """
    doc_ids: dict[str, str] = {}
    for doc_id, text in texts.items():
        doc_ids.setdefault(normalize_document(text), doc_id)
    pairs: dict[PreferencePair, None] = {}
    for place, row in enumerate(rows):
        text = normalize_document(_without(instruction, row.prompt, place))
        if text not in doc_ids:
            raise InputError(f"row {place}: no document of the corpus has the text {text!r:.80}; add it there, or take the row out")
        chosen, rejected = row.chosen.strip(), row.rejected.strip()
        if not chosen:
            raise InputError(f"row {place}: chosen: {row.chosen!r:.40} found, a query is expected; take the row out")
        if normalize_query(chosen) != normalize_query(rejected):
            pairs[PreferencePair(doc_id=doc_ids[text], chosen=chosen, rejected=rejected, kind="imported")] = None
    return list(pairs)


def _without(instruction: str, prompt: str, place: int) -> str:
    prompt = prompt.strip()
    if not prompt.startswith(instruction.strip()):
        raise InputError(f"row {place}: {prompt!r:.60} found, which does not begin with the instruction {instruction!r:.60}")
    return prompt.removeprefix(instruction.strip()).strip()
