"""One place that turns a document into the text a generator reads, for training, sampling, rewards and serving alike.

The document is cut before the query ever is, by the generator's tokens. Where the tokenizer has a chat template, the prompt is its user
turn, and worked examples are the turns before it; otherwise it is plain text that ends just before the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from tandem.formats.jsonl import write_json
from tandem.generators.examples import NO_EXAMPLES, Example, Examples
from tandem.generators.prompt_settings import PromptedSettings, PromptSettings, PromptShape
from tandem.generators.requests import Request
from tandem.llm.prompts import chat_turns, truncate_documents, user_turns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tandem.llm.served import Words

__all__ = [
    "DEFAULT_TEMPLATE",
    "PROMPT_FILE",
    "PromptSettings",
    "PromptShape",
    "PromptedSettings",
    "QueryPrompts",
    "completion_text",
    "read_examples",
    "read_shape",
    "render_prompts",
]

DEFAULT_TEMPLATE = "Document: {document}\nKeywords: {keywords}\nQuery:"
PROMPT_FILE = "prompt.json"
INSTRUCTIONS = {
    "labelled": "Write one search query that finds this text, in words of the text.",
    "question": "Write one question that this text answers.",
    "claim": "Write one claim that this text supports.",
    "keywords": "Write keywords that find this text.",
    "title": "Write a title for this text.",
}
"""by type of query, where examples are turns of a chat"""


class QueryPrompts:
    """How one generator's prompts are made: the same for fine-tuning, sampling, policy optimisation and serving.

    Args:
        tokenizer: of the model that reads them; a served model's cuts by words.
        shape: the template, and where a document is cut.
        examples: what stands before the document.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | Words, shape: PromptShape, *, examples: Examples = NO_EXAMPLES) -> None:
        self.tokenizer, self.shape, self.examples = tokenizer, shape, examples
        self._blocks: dict[Example, str] = {}

    @property
    def one_line(self) -> bool:
        """Whether a query ends at a line break, as the examples' queries do."""
        return bool(self.examples.by_type)

    def render(self, documents: Sequence[str], keywords: Sequence[str], query_types: Sequence[str] = ()) -> list[str]:
        """The prompt of each document.

        Args:
            documents: texts as :func:`tandem.records.document_text` gives them.
            keywords: one string a document (it may be empty); used where the template has ``{keywords}``.
            query_types: of each query, where there are examples of several types; see :meth:`tandem.generators.examples.Examples.before`.
        """
        if not self.one_line:
            return render_prompts(
                documents, keywords, self.tokenizer, template=self.shape.template, max_document_tokens=self.shape.document_tokens
            )
        types = [self.examples.type_of(query_type) for query_type in query_types or [""] * len(documents)]
        before = [self.examples.before(document, query_type) for document, query_type in zip(documents, types, strict=True)]
        if self.turns:
            return self._render_turns(documents, keywords, types, before)
        prompts = self._fill(documents, keywords)
        return ["".join(map(self._block, examples)) + prompt for examples, prompt in zip(before, prompts, strict=True)]

    @property
    def turns(self) -> bool:
        """Whether examples are turns of a chat."""
        wanted = self.examples.form == "turns" or (self.examples.form == "auto" and bool(getattr(self.tokenizer, "chat_template", None)))
        return self.one_line and wanted

    def _render_turns(
        self, documents: Sequence[str], keywords: Sequence[str], types: Sequence[str], before: Sequence[Sequence[Example]]
    ) -> list[str]:
        """Chats in which a user asks for a query of each example and of the document, and the model has answered all but the last."""
        limit = self.shape.document_tokens
        texts = [example.document for examples in before for example in examples]
        cut = dict(zip(texts, truncate_documents(texts, self.tokenizer, limit), strict=True))
        chats = []
        for document, words, query_type, examples in zip(
            truncate_documents(documents, self.tokenizer, limit), keywords, types, before, strict=True
        ):
            asked = [ask_for_query(query_type, cut[example.document], example.keywords) for example in examples]
            answers = [example.query for example in examples]
            chats.append([*chain.from_iterable(zip(asked, answers, strict=True)), ask_for_query(query_type, document, words)])
        return chat_turns(chats, self.tokenizer)

    def render_requests(self, requests: Sequence[Request], texts: Mapping[str, str]) -> list[str]:
        """The prompt of each request, over texts by doc_id."""
        documents = [texts[request.doc_id] for request in requests]
        return self.render(documents, [request.keywords for request in requests], [request.query_type for request in requests])

    def completion(self, query: str) -> str:
        """A query as it follows its prompt."""
        return f" {query}\n" if self.one_line and not self.turns else completion_text(query, self.tokenizer)

    def save(self, folder: Path) -> None:
        """Write down how prompts are made, into the folder of the model that reads them."""
        values = {"template": self.shape.template, "document_tokens": self.shape.document_tokens}
        write_json(folder / PROMPT_FILE, values | ({"examples": self.examples.model_dump()} if self.one_line else {}))

    @classmethod
    def read(cls, folder: Path, tokenizer: PreTrainedTokenizerBase) -> QueryPrompts:
        """How the prompts of a model in a folder are made."""
        return cls(tokenizer, read_shape(folder), examples=read_examples(folder))

    def _block(self, example: Example) -> str:
        if example not in self._blocks:
            (prompt,) = self._fill([example.document], [example.keywords])
            self._blocks[example] = f"{prompt} {example.query}\n\n"
        return self._blocks[example]

    def _fill(self, documents: Sequence[str], keywords: Sequence[str]) -> list[str]:
        return fill_template(self.shape.template, truncate_documents(documents, self.tokenizer, self.shape.document_tokens), keywords)


def ask_for_query(query_type: str, document: str, keywords: str) -> str:
    """What a user's turn asks a model for: a query of a type, for a document, with words that are offered."""
    offered = f"\n\nKeywords: {keywords}" if keywords else ""
    return f"{INSTRUCTIONS[query_type]}\n\n{document}{offered}"


def read_shape(folder: Path) -> PromptShape:
    """The shape of the prompts of a model in a folder."""
    values = orjson.loads((folder / PROMPT_FILE).read_bytes())
    return PromptShape(template=values["template"], document_tokens=values["document_tokens"])


def read_examples(folder: Path) -> Examples:
    """The examples that a model's folder names; none where it has no such file, as of a model that was not made here."""
    path = folder / PROMPT_FILE
    if not path.is_file():
        return NO_EXAMPLES
    examples = orjson.loads(path.read_bytes()).get("examples")
    return Examples.model_validate(examples) if examples else NO_EXAMPLES


def render_prompts(
    documents: Sequence[str],
    keywords: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    template: str = DEFAULT_TEMPLATE,
    max_document_tokens: int,
) -> list[str]:
    """The prompt of each document, without examples.

    Args:
        documents: texts as :func:`tandem.records.document_text` gives them.
        keywords: one string a document (it may be empty); used where the template has ``{keywords}``.
        tokenizer: cuts the documents and, where it has a chat template, wraps the prompt into a user turn.
        template: holds ``{document}`` and may hold ``{keywords}``.
        max_document_tokens: the document is cut to this many tokens, nothing else ever is.
    """
    cut = truncate_documents(documents, tokenizer, max_document_tokens)
    return user_turns(fill_template(template, cut, keywords), tokenizer)


def fill_template(template: str, documents: Sequence[str], keywords: Sequence[str]) -> list[str]:
    """Put documents and keywords where a template has them.

    Raises:
        ValueError: it has no place for the document.
    """
    if "{document}" not in template:
        raise ValueError(f"prompt.template: {template!r} found; it must hold {{document}}, where the document goes")
    return [template.replace("{keywords}", words).replace("{document}", text) for text, words in zip(documents, keywords, strict=True)]


def completion_text(query: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """A query as it follows its prompt: after a space in plain text, as it is after a chat template's marker."""
    return query if getattr(tokenizer, "chat_template", None) else f" {query}"
