"""What a language model reads to say how likely an answer is after a query and a retrieved key, task by task, within a length.

The layouts are those of LLM-Embedder (arXiv 2310.07554), and one of our own for tools, which it has none for. The key comes first. Where
there is none, its line is left out. The answer is a completion, with the space before it, which most tokenizers put into the first token
of a word; so it begins where :func:`tandem.llm.likelihood.split_tokens` parts the two, whatever the layout.

Every part is cut by itself, on its own characters, to a length that no other part of the pair decides: all keys of a query are scored with
the same query and the same answer. Keys and answers lose their end, a query its beginning, for what stands last in it (the latest turn,
the nearest context) says most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from pydantic import model_validator

from tandem.interfaces import LanguageModel
from tandem.llm.prompts import Side, cut_texts
from tandem.settings import SettingError, Settings, Tokens

__all__ = ["TEMPLATES", "PromptLengths", "TaskModel", "TaskPrompt", "TaskPrompts", "TaskRequest", "TaskTemplate", "count_cuts"]


class TaskTemplate(NamedTuple):
    """How a task's key, query and answer follow each other."""

    version: str
    """another one whenever the layout changes"""
    key: str
    query: str
    """up to the answer"""
    answer: str = "{}"
    strips: bool = True
    """white space around each part is taken off"""
    matches: bool = True
    """answers are short enough to be matched whole"""


QUESTION = TaskTemplate("question-1", "Knowledge: {}\n\n", "Question: {}\n\nAnswer:", " {}")
TEMPLATES = {
    "qa": QUESTION,
    "convsearch": QUESTION,
    "icl": TaskTemplate("icl-1", "{}\n", "{}\n"),
    "chat": TaskTemplate("chat-1", "{}\n", "Speaker 1: {}\nSpeaker 2:", " {}", matches=False),
    "lrlm": TaskTemplate("lrlm-1", "{}", "{}", strips=False, matches=False),
    "tool": TaskTemplate("tool-1", "Tool: {}\n\n", "Request: {}\n\nCall:", " {}"),
}
"""by task; texts of ``lrlm`` are pieces of one text and follow each other as they are"""


class PromptLengths(Settings):
    """Tokens of each part, and of all."""

    key_tokens: Tokens
    """a key is cut behind them"""
    query_tokens: Tokens
    """a query, with the context in it, is cut before its last ones, and before as many as the other parts leave of max_length"""
    answer_tokens: Tokens
    """an answer is cut behind them"""
    max_length: Tokens
    """of the whole text, special tokens included; at most what the model reads"""

    @model_validator(mode="after")
    def _leaves_room(self) -> PromptLengths:
        if self.key_tokens + self.answer_tokens >= self.max_length:
            raise ValueError(
                f"max_length: {self.max_length} found, more than key_tokens + answer_tokens = {self.key_tokens + self.answer_tokens} is "
                "needed for a query; raise it, or lower the two"
            )
        return self


class TaskRequest(NamedTuple):
    """An answer to score, or to ask for: without a key, where it is None or blank."""

    task: str
    key: str | None
    query: str
    answer: str


class TaskPrompt(NamedTuple):
    """A request as a model reads it, and which parts of it were cut: key, query, answer."""

    prompt: str
    completion: str
    cut: frozenset[str]


class TaskModel(LanguageModel, Protocol):
    """A language model with what prompts need to know of it."""

    tokenizer: Any
    """that gives ``offset_mapping``"""

    @property
    def label(self) -> str:
        """What tells it from other models."""
        ...

    @property
    def max_length(self) -> int | None:
        """Tokens that it can read at most; None where nobody knows."""
        ...


class TaskPrompts:
    """Makes prompts of requests.

    Args:
        model: that will read them.
        lengths: of their parts.

    Raises:
        SettingError: the model reads less than ``max_length``.
    """

    def __init__(self, model: TaskModel, lengths: PromptLengths) -> None:
        if model.max_length is not None and lengths.max_length > model.max_length:
            raise _about(lengths, f"{lengths.max_length} found, {model.label} reads at most {model.max_length} tokens; set no more")
        self.tokenizer, self.lengths = model.tokenizer, lengths

    def render(self, requests: Sequence[TaskRequest]) -> list[TaskPrompt]:
        """The prompt and the completion of each request, in order.

        Raises:
            ValueError: a task has no template, or a query or an answer is blank.
            SettingError: ``max_length`` leaves no room for a query.
        """
        by_task: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            _check(request)
            by_task.setdefault(request.task, []).append(i)
        prompts: dict[int, TaskPrompt] = {}
        for task, places in by_task.items():
            prompts.update(zip(places, self._render(TEMPLATES[task], [requests[i] for i in places]), strict=True))
        return [prompts[i] for i in range(len(requests))]

    def _render(self, template: TaskTemplate, requests: Sequence[TaskRequest]) -> list[TaskPrompt]:
        """Of one task's requests."""
        keys = self._shorten([request.key or "" for request in requests], self.lengths.key_tokens, template)
        answers = self._shorten([request.answer for request in requests], self.lengths.answer_tokens, template)
        most = min(self.lengths.query_tokens, self._query_room(template))
        queries = self._shorten([request.query for request in requests], most, template, side="left")
        parts = [_Parts(*texts) for texts in zip(keys, queries, answers, strict=True)]
        excesses = self._excesses(template, parts)
        fitting = [self._fit(template, part, excess) if excess > 0 else part for part, excess in zip(parts, excesses, strict=True)]
        return [
            TaskPrompt(part.prompt(template), part.completion(template), frozenset(_changed(template, request, part)))
            for request, part in zip(requests, fitting, strict=True)
        ]

    def _shorten(self, texts: Sequence[str], limit: int, template: TaskTemplate, *, side: Side = "right") -> list[str]:
        """Each text within a number of tokens; the same text is read once."""
        different = list(dict.fromkeys(_strip(text, template) for text in texts))
        cut = dict(zip(different, cut_texts(different, self.tokenizer, limit, side=side), strict=True))
        return [_strip(cut[_strip(text, template)], template) for text in texts]

    def _query_room(self, template: TaskTemplate) -> int:
        """Tokens that are left for a query where key and answer are as long as they may be."""
        layout = _Parts("-", "-", "-")  # a character each: none is blank
        (used,) = self._count([layout.prompt(template) + layout.completion(template)])
        room = self.lengths.max_length - self.lengths.key_tokens - self.lengths.answer_tokens - used
        if room < 1:
            needed = self.lengths.max_length - room + 1
            raise _about(self.lengths, f"{self.lengths.max_length} found, at least {needed} is needed to leave room for a query")
        return room

    def _fit(self, template: TaskTemplate, parts: _Parts, excess: int) -> _Parts:
        """Without as much of the query's beginning as is too much: where parts meet, tokens may be more than those of the parts."""
        while excess > 0:
            (length,) = self._count([parts.query], special=False)
            if length <= excess:
                raise _about(self.lengths, f"{self.lengths.max_length} found, it leaves no room for query {parts.query[:60]!r}; raise it")
            (query,) = cut_texts([parts.query], self.tokenizer, length - excess, side="left")
            parts = parts._replace(query=_strip(query, template))
            (excess,) = self._excesses(template, [parts])
        return parts

    def _excesses(self, template: TaskTemplate, parts: Sequence[_Parts]) -> list[int]:
        """How many tokens each text has beyond the most, read as one or in two; negative where there is room."""
        prompts, completions = [part.prompt(template) for part in parts], [part.completion(template) for part in parts]
        whole = self._count([prompt + completion for prompt, completion in zip(prompts, completions, strict=True)])
        lengths = zip(whole, self._count(prompts), self._count(completions, special=False), strict=True)
        return [max(together, first + rest) - self.lengths.max_length for together, first, rest in lengths]

    def _count(self, texts: Sequence[str], *, special: bool = True) -> list[int]:
        """Tokens of each text."""
        encoded = self.tokenizer(list(texts), add_special_tokens=special, return_offsets_mapping=True, verbose=False)
        return [len(offsets) for offsets in encoded["offset_mapping"]]


class _Parts(NamedTuple):
    """The texts of a prompt; a blank key is none."""

    key: str
    query: str
    answer: str

    def prompt(self, template: TaskTemplate) -> str:
        return (template.key.format(self.key) if self.key else "") + template.query.format(self.query)

    def completion(self, template: TaskTemplate) -> str:
        return template.answer.format(self.answer)


def count_cuts(prompts: Iterable[TaskPrompt]) -> dict[str, int]:
    """How many of the prompts have lost a part of their key, query or answer."""
    counts = Counter(name for prompt in prompts for name in prompt.cut)
    return {f"{name}_cut": counts[name] for name in _Parts._fields}


def _strip(text: str, template: TaskTemplate) -> str:
    return text.strip() if template.strips or not text.strip() else text


def _changed(template: TaskTemplate, request: TaskRequest, parts: _Parts) -> list[str]:
    """The names of the parts that are not whole."""
    whole = _Parts(request.key or "", request.query, request.answer)
    return [name for name, before, after in zip(_Parts._fields, whole, parts, strict=True) if _strip(before, template) != after]


def _check(request: TaskRequest) -> None:
    if request.task not in TEMPLATES:
        raise ValueError(f"task: {request.task!r} found, allowed: {', '.join(TEMPLATES)}; rename the task of the row")
    for name, text in (("query", request.query), ("answer", request.answer)):
        if not text.strip():
            raise ValueError(f"{name}: {text!r} found in a row of task {request.task}, a text is needed; take the row out")


def _about(lengths: PromptLengths, problem: str) -> SettingError:
    error = SettingError("max_length", problem)
    error.settings = lengths
    return error
