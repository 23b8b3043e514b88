"""One place that turns a document into the text a generator reads, for training, sampling and rewards alike.

The document is cut before the query ever is, by the generator's own tokens. Where the tokenizer has a chat template, the
prompt is its user turn; otherwise it is plain text that ends just before the query.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["DEFAULT_TEMPLATE", "clean_query", "completion_text", "render_prompts", "truncate_documents"]

DEFAULT_TEMPLATE = "Document: {document}\nKeywords: {keywords}\nQuery:"
SPACES = re.compile(r"\s+")
LABEL = re.compile(r"^(relevant\s+)?(query|question|search query)\s*:\s*", re.IGNORECASE)


def truncate_documents(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, maximum_tokens: int) -> list[str]:
    """Each text on one line, cut after ``maximum_tokens`` of the tokenizer's tokens (special ones not counted)."""
    flat = [SPACES.sub(" ", text).strip() for text in texts]
    if not flat:
        return []
    encoded = tokenizer(flat, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    cut = []
    for text, offsets in zip(flat, encoded["offset_mapping"], strict=True):
        cut.append(text if len(offsets) <= maximum_tokens else text[: offsets[maximum_tokens - 1][1]])
    return cut


def render_prompts(
    documents: Sequence[str],
    keywords: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    template: str = DEFAULT_TEMPLATE,
    maximum_document_tokens: int,
) -> list[str]:
    """The prompt of each document.

    Args:
        documents: texts as :func:`tandem.records.document_text` gives them.
        keywords: one string a document (it may be empty); used where the template has ``{keywords}``.
        tokenizer: cuts the documents and, where it has a chat template, wraps the prompt into a user turn.
        template: holds ``{document}`` and may hold ``{keywords}``.
        maximum_document_tokens: the document is cut to this many tokens, nothing else ever is.
    """
    if "{document}" not in template:
        raise ValueError(f"generator.template: {template!r} has no '{{document}}'; it must say where the document goes")
    cut = truncate_documents(documents, tokenizer, maximum_document_tokens)
    prompts = [template.replace("{keywords}", words).replace("{document}", text) for text, words in zip(cut, keywords, strict=True)]
    if not getattr(tokenizer, "chat_template", None):
        return prompts
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return [str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)) for turn in turns]


def completion_text(query: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """A query as it follows its prompt: after a space in plain text, as it is after a chat template's own marker."""
    return query if getattr(tokenizer, "chat_template", None) else f" {query}"


def clean_query(text: str, *, maximum_words: int = 64) -> str:
    """What a model wrote, as a query: its first non-empty line, without label or quotes, one space between words."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    line = LABEL.sub("", lines[0]).strip().strip("\"'`").strip()
    return " ".join(SPACES.sub(" ", line).split(" ")[:maximum_words])
