"""How a query and a document become one sequence of tokens; stored with the checkpoint, so that scoring needs no arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field

from tandem.settings import Settings, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["PairFormat", "encode_pairs"]

MINIMUM_DOCUMENT_TOKENS = 8


class PairFormat(Settings):
    """The input of a reranker.

    ``encoder`` is a BERT-like model with one logit, which takes the tokenizer's pair ([CLS] query [SEP] document [SEP]), and
    ``similarity`` such a model without a logit, scored by the cosines of its tokens (:class:`SimilarityHead`). ``head`` is a
    decoder with a linear layer on its last token and ``yes_no`` one that is asked for the logits of two words there; both take
    ``query_format(query) + separator + document_format(document) + marker`` and are read at the last token of the marker.
    """

    kind: Literal["encoder", "similarity", "head", "yes_no"]
    """encoder: a BERT-like model with a logit; similarity: one scored by its tokens' cosines; head, yes_no: decoders"""
    max_length: int = Field(default=256, ge=16, le=1_000_000)
    """of query and document together, in tokens; the document is cut"""
    max_query_length: Tokens = 64
    """the query is cut here"""
    query_format: str = "{}"
    """of head and yes_no: text around the query, which stands at {}"""
    document_format: str = "{}"
    """of head and yes_no: text around the document, which stands at {}"""
    separator: str = ""
    """of head and yes_no: text between the two"""
    marker: str = ""
    """of head and yes_no: text at the end, whose last token is read"""
    yes: str = " yes"
    """of yes_no: the word of a relevant document"""
    no: str = " no"
    """of yes_no: the word of any other"""

    def document_room(self, query: Sequence[int], special_tokens: int) -> int:
        """How many tokens of a document fit beside a query of these tokens.

        Raises:
            ValueError: next to none.
        """
        room = self.max_length - len(query) - special_tokens
        if room < MINIMUM_DOCUMENT_TOKENS:
            raise ValueError(
                f"max_length: {self.max_length} found; {len(query)} tokens of query, {special_tokens} of format leave {room} for "
                f"the document, {MINIMUM_DOCUMENT_TOKENS} are the least: raise it or lower max_query_length"
            )
        return room


def encode_pairs(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]], form: PairFormat) -> dict[str, torch.Tensor]:
    """Token ids and attention mask of (query, document) pairs, (pairs, longest), padded on the right; ``similarity``: the tokens' sides.

    The query is cut to ``max_query_length``, then the document to what is left; the format's tokens are never cut.
    """
    plain: dict[str, Any] = {"add_special_tokens": False, "verbose": False}  # it would warn of long texts, which are cut below
    queries = tokenizer([form.query_format.format(query) for query, _ in pairs], **plain)["input_ids"]
    documents = tokenizer([form.document_format.format(document) for _, document in pairs], **plain)["input_ids"]
    queries = [ids[: form.max_query_length] for ids in queries]
    if form.kind in ("encoder", "similarity"):
        return _encoder_batch(tokenizer, queries, documents, form)
    start = [tokenizer.bos_token_id] if tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id] else []
    separator, marker = (tokenizer(text, add_special_tokens=False)["input_ids"] if text else [] for text in (form.separator, form.marker))
    fixed = len(start) + len(separator) + len(marker)
    rows = [
        [*start, *query, *separator, *document[: form.document_room(query, fixed)], *marker]
        for query, document in zip(queries, documents, strict=True)
    ]
    return _pad(rows, tokenizer.pad_token_id)


def _encoder_batch(
    tokenizer: PreTrainedTokenizerBase, queries: list[list[int]], documents: list[list[int]], form: PairFormat
) -> dict[str, torch.Tensor]:
    """[CLS] query [SEP] document [SEP] by the tokenizer's template, with its token types where the model has them."""
    template = tokenizer("a", "a")
    ids, sequence = template["input_ids"], template.sequence_ids(0)
    first, second = sequence.index(0), sequence.index(1)
    before, between = ids[:first], [i for i, text in zip(ids[first:second], sequence[first:second], strict=True) if text is None]
    after = [i for i, text in zip(ids[second:], sequence[second:], strict=True) if text is None]
    fixed = len(before) + len(between) + len(after)
    rows, types = [], []
    for query, document in zip(queries, documents, strict=True):
        kept = document[: form.document_room(query, fixed)]
        rows.append([*before, *query, *between, *kept, *after])
        types.append([0] * (len(before) + len(query) + len(between)) + [1] * (len(kept) + len(after)))
    batch = _pad(rows, tokenizer.pad_token_id)
    if form.kind == "similarity":  # token types stay as they are for single texts, on which sentence encoders are trained
        batch["sides"] = _pad(types, 0)["input_ids"]
    elif "token_type_ids" in template and template["token_type_ids"][-1] == 1:
        batch["token_type_ids"] = _pad(types, 0)["input_ids"]
    return batch


def _pad(rows: list[list[int]], pad_token_id: int) -> dict[str, torch.Tensor]:
    width = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[pad_token_id] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}
