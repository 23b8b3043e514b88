"""One place that turns a document into the text a generator reads, for training, sampling and rewards alike.

The document is cut before the query ever is, by the generator's own tokens. Where the tokenizer has a chat template, the
prompt is its user turn; otherwise it is plain text that ends just before the query. Whoever reads a prompt tokenises it as the
tokenizer does by itself, special tokens included: it then begins with one start token, where the model has any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tandem.generators.prompt_settings import PromptedSettings, PromptSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["DEFAULT_TEMPLATE", "PromptSettings", "PromptedSettings", "completion_text", "render_prompts", "truncate_documents"]

DEFAULT_TEMPLATE = "Document: {document}\nKeywords: {keywords}\nQuery:"
SPACES = re.compile(r"\s+")


def truncate_documents(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[str]:
    """Each text on one line, cut after ``max_length`` of the tokenizer's tokens (special ones not counted)."""
    flat = [SPACES.sub(" ", text).strip() for text in texts]
    if not flat:
        return []
    encoded = tokenizer(flat, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    cut = []
    for text, offsets in zip(flat, encoded["offset_mapping"], strict=True):
        cut.append(text if len(offsets) <= max_length else text[: offsets[max_length - 1][1]])
    return cut


def render_prompts(
    documents: Sequence[str],
    keywords: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    template: str = DEFAULT_TEMPLATE,
    max_document_tokens: int,
) -> list[str]:
    """The prompt of each document.

    Args:
        documents: texts as :func:`tandem.records.document_text` gives them.
        keywords: one string a document (it may be empty); used where the template has ``{keywords}``.
        tokenizer: cuts the documents and, where it has a chat template, wraps the prompt into a user turn.
        template: holds ``{document}`` and may hold ``{keywords}``.
        max_document_tokens: the document is cut to this many tokens, nothing else ever is.
    """
    if "{document}" not in template:
        raise ValueError(f"prompt.template: {template!r} found; it must hold {{document}}, where the document goes")
    cut = truncate_documents(documents, tokenizer, max_document_tokens)
    prompts = [template.replace("{keywords}", words).replace("{document}", text) for text, words in zip(cut, keywords, strict=True)]
    if not getattr(tokenizer, "chat_template", None):
        return prompts
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    texts = [str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)) for turn in turns]
    start = _added_start(tokenizer)
    return [text.removeprefix(start) for text in texts]


def _added_start(tokenizer: Any) -> str:
    """The start token that the tokenizer puts before any text by itself, which a chat template that begins with it must not repeat."""
    ids = tokenizer("a")["input_ids"]
    return str(tokenizer.bos_token) if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id] else ""


def completion_text(query: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """A query as it follows its prompt: after a space in plain text, as it is after a chat template's own marker."""
    return query if getattr(tokenizer, "chat_template", None) else f" {query}"
