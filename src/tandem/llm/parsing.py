"""What a model wrote, as a query: the query itself, without what chat models put around it; strict, and counted.

A completion is read line by line. Reasoning, code fences, introductions, labels, list marks, bold signs and quotes are taken off; the first
line that is left is the query; after sentences, a line with a label is. JSON gives its ``query``, or its first text. Where nothing is left,
the completion has no query.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

__all__ = ["Parsed", "clean_query", "parse_query"]

THINKING = re.compile(r"<(think|thinking|reasoning|thought)>.*?(</\1>|\Z)", re.IGNORECASE | re.DOTALL)
CHANNELS = re.compile(r"\A.*<\|channel\|>\s*final\s*<\|message\|>", re.IGNORECASE | re.DOTALL)  # harmony: what stands before is reasoning
OTHER_CHANNEL = re.compile(r"<\|channel\|>\s*\w+\s*<\|message\|>.*", re.IGNORECASE | re.DOTALL)  # one that was cut before its final channel
END_OF_THINKING = re.compile(r"\A.*</(think|thinking|reasoning|thought)>", re.IGNORECASE | re.DOTALL)  # the template wrote its beginning
SPECIAL = re.compile(r"<\|[^|<>]*\|>|\A\s*<s>|</s>\s*\Z|<(eos|bos|pad|end_of_turn)>|\[/?INST\]", re.IGNORECASE)
TAG = re.compile(r"</?(search[-_ ]?)?(query|question|answer|output)>", re.IGNORECASE)
FENCE = re.compile(r"^(```|~~~)\s*\w*\s*$")
RULE = re.compile(r"^([-*_=#])\1{2,}$")
LIST_MARK = re.compile(r"^(\(?\d{1,2}[.)](\s+|$)|[-*•–]\s+|#{1,6}\s+|>\s+)")
LABEL = re.compile(
    r"^((search|relevant|pseudo|user|possible|suggested|generated|example|natural[- ]language)\s+){0,2}"
    r"(quer(y|ies)|questions?|keywords? query|answer|output|result|q|"
    r"suchanfrage|anfrage|frage|requ[eê]te|consulta|pregunta|запрос|查询|问题|検索クエリ|クエリ)(\s+\(?#?\d{1,2}\)?)?\s*[:：]\s*",
    re.IGNORECASE,
)
# A line about the query that is to come: an exclamation that chat models begin with, or a sentence that ends in a colon.
INTRODUCTION = re.compile(
    r"^(sure|certainly|of course|okay|ok|absolutely)([!,.:：].*)?$"
    r"|^(here('s| is| are)|below (is|are)|the following (is|are)|this is|based on)\b.*[:：]$"
    r"|^.*\b(quer(y|ies)|questions?|passage|document|text)\b.*[:：]$"
    r"|^(here('s| is| are)|below (is|are)|the following (is|are)|this is)\b.{0,60}\b(quer(y|ies)|questions?)\b.{0,60}[.!]$",
    re.IGNORECASE,
)
# The same in the line of the query itself: "Sure! Here is a search query: solve a linear system".
INLINE = re.compile(
    r"^((sure|certainly|of course|okay|ok|absolutely)[!,.]?\s+)?"
    r"(here('s| is)|the following is|this is|hier ist|voici|aquí (está|tienes))\s+"
    r"[^:：]{0,60}\b(query|question|suchanfrage|anfrage|frage|requ[eê]te|consulta|pregunta)\b[^:：]{0,60}[:：]\s*"
    r"|^(sure|certainly|of course|okay|ok|absolutely)[!,.]\s+here('s| is)\s+[^:：]{0,30}[:：]\s*",
    re.IGNORECASE,
)
# A heading: the query stands in the line below it.
BARE_LABEL = re.compile(r"^((search|generated|final)\s+)?(query|question|answer|output)\s*[:：]?$", re.IGNORECASE)
# What may stand before a labelled query: sentences, other labels; not the next example of a prompt with examples.
BEFORE_LABEL = re.compile(r"^(.*[.!:：]|(keywords?|topic|reasoning|thought|explanation)\s*[:：].*)$", re.IGNORECASE)
EXAMPLE = re.compile(r"^(document|passage|text|title|example|task|instruction)s?(\s+\d+)?\s*[:：]", re.IGNORECASE)
QUERY_LABEL = re.compile(r"^[\s*_#>-]*((search|generated|final)\s+)?(query|question)[*_]*\s*[:：][*_]*\s*\S", re.IGNORECASE)
EMPHASIS = re.compile(r"(\*\*|(?<!\w)\*|\*(?!\w)|^__(?=.*__$)|__$)")
QUOTES = "\"'`“”„‟‘’‚«»‹›「」『』"
SPACES = re.compile(r"\s+")
NO_QUERY = re.compile(r"^(n/?a|none|null|no (relevant )?(search )?query\.?|\[.*\]|\(.*\))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query, and what was taken off around it.

    ``stripped`` names: ``thinking``, ``json``, ``introduction``, ``mark``, ``label``, ``emphasis``, ``quotes``, ``rest``.
    An empty ``text`` with an empty ``stripped`` is an empty completion; with something stripped it is a completion without a query.
    """

    text: str
    stripped: frozenset[str]


def parse_query(completion: str, *, max_words: int = 64) -> Parsed:
    """The query in a completion.

    Args:
        completion: as the model wrote it, of one line or of many.
        max_words: where a query is cut.
    """
    stripped: set[str] = set()
    text = THINKING.sub(" \n", completion)
    text = OTHER_CHANNEL.sub("", CHANNELS.sub("", END_OF_THINKING.sub("", text)))
    if text != completion:
        stripped.add("thinking")
    text = TAG.sub("\n", plain := SPECIAL.sub(" ", text))
    if text != plain:
        stripped.add("mark")
    if value := _json_query(text):
        text = value
        stripped.add("json")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if skipped := _sentences_before_label(lines):
        stripped.add("introduction")
    for i, line in enumerate(lines[skipped:], start=skipped):
        if FENCE.match(line) or RULE.match(line):
            stripped.add("mark")
            continue
        query = _strip_line(line, stripped)
        if query and not NO_QUERY.match(query):
            if i + 1 < len(lines):
                stripped.add("rest")
            return Parsed(" ".join(query.split(" ")[:max_words]), frozenset(stripped))
        stripped.add("introduction")
    return Parsed("", frozenset(stripped))


def _json_query(text: str) -> str:
    """The query of a completion that is JSON, fenced or not; empty where it is none."""
    bare = "\n".join(line for line in text.strip().splitlines() if not FENCE.match(line.strip()))
    if not bare.startswith(("{", "[")):
        return ""
    try:
        value = json.loads(bare)
    except ValueError:
        return ""
    while isinstance(value, list | dict) and value:
        if isinstance(value, dict):
            named = [inner for key, inner in value.items() if LABEL.match(f"{key.replace('_', ' ')}:")]
            value = (named or list(value.values()))[0]
        else:
            value = value[0]
    return value if isinstance(value, str) else ""


def _sentences_before_label(lines: list[str]) -> int:
    """How many lines precede the first that is labelled as the query, where all of them are about it: sentences, keywords."""
    for i, line in enumerate(lines):
        if QUERY_LABEL.match(line):
            return i
        if EXAMPLE.match(line) or not BEFORE_LABEL.match(line):
            return 0
    return 0


def clean_query(completion: str, *, max_words: int = 64) -> str:
    """The query in a completion, or nothing: the text of :func:`parse_query`."""
    return parse_query(completion, max_words=max_words).text


def _strip_line(line: str, stripped: set[str]) -> str:
    """A line without marks, labels, emphasis and quotes, until nothing more comes off; empty where it only introduces a query."""
    for _ in range(6):
        before = line
        for name, pattern in (("mark", LIST_MARK), ("introduction", INLINE), ("label", LABEL)):
            shorter = pattern.sub("", line, count=1).strip()
            if shorter != line:
                stripped.add(name)
                line = shorter
        if (plain := EMPHASIS.sub("", line).strip()) != line and (line.count("*") >= 2 or line.startswith("__")):
            stripped.add("emphasis")
            line = plain
        if len(line) > 1 and line[0] in QUOTES and line[-1] in QUOTES:
            stripped.add("quotes")
            line = line.strip(QUOTES).strip()
        if line == before:
            break
    line = SPACES.sub(" ", line).strip()
    return "" if INTRODUCTION.match(line) or BARE_LABEL.match(line) else line
