"""Docstrings as people write and read them: markup taken off, sections told apart, summaries turned into what somebody asks."""

from __future__ import annotations

import inspect
import random
import re

__all__ = ["INFINITIVES", "ask", "cut_words", "doc_sections", "first_sentence", "lower_first", "plain_text", "verb_phrase"]

# What summaries begin with that say what a function does.
VERBS = """
    add adjust aggregate align allow append apply approximate assign attach binarize broadcast build calculate call cast change check
    classify clean clear close collect combine compare compile compose compute concatenate configure construct convert copy count create
    decode decompose define delete derive describe detect determine differentiate disable display divide download draw drop embed enable
    encode ensure estimate evaluate execute expand export extend extract factor fetch fill filter find fit flatten format gather generate
    get group handle implement indicate infer initialize insert inspect instantiate integrate invoke iterate join learn list load log make
    map mark mask measure merge minimize modify move multiply normalize obtain open order pad parse partition perform pick plot predict
    prepare preprocess print process produce project provide prune read receive reconstruct record reduce register remove rename render
    reorder replace represent rescale reset reshape resize resolve restore retrieve return reverse round run sample save scale search select
    send serialize set shift show simplify slice solve sort split stack start store submit sum swap take test tokenize trace transform
    translate traverse truncate update upload validate verify wait wrap write
"""
INFINITIVES = frozenset(VERBS.split())
NUMPY_SECTION = re.compile(r"^(?P<name>[A-Z][A-Za-z ]{2,30})\n[-=~]{3,}\s*$", re.MULTILINE)
HEADINGS = (
    "Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?|Attributes|Shape|Usage|References|See [Aa]lso|Inputs?|Outputs?"
)
GOOGLE_SECTION = re.compile(
    rf"^(?P<name>{HEADINGS})(?: \([^)]*\))?:{{1,2}}[ \t]*$\n(?P<text>(?:[ \t]+\S.*(?:\n|$)|[ \t]*\n)+)", re.MULTILINE
)
NAMES = {"args": "parameters", "arguments": "parameters", "return": "returns", "example": "examples", "note": "notes", "input": "inputs"}
# A fenced or literal block, an output, a directive with all that is indented below it.
CODE = re.compile(r"```.*?(?:```|\Z)|^[ \t]*(?:>>>|\.\.\. |In \[)[^\n]*$", re.DOTALL | re.MULTILINE)
DIRECTIVE = re.compile(r"^(?P<indent>[ \t]*)\.\. [^\n]*(?:\n(?:[ \t]*\n)*(?P=indent)[ \t]+[^\n]*)*", re.MULTILINE)
LITERAL = re.compile(r"::[ \t]*\n(?:[ \t]*\n)*(?P<indent>[ \t]+)[^\n]*(?:\n(?:[ \t]*\n)*(?P=indent)[^\n]*)*", re.MULTILINE)
TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,60}>|\[\[[^\]]*\]\]|%\(\w+\)s")
BRACKETED = re.compile(r"(?<!\w)\[([A-Z]\w+)\](?![\w(])")
DOUBLED = re.compile(r"``([^`]+)``")
ROLE = re.compile(r"(?::[a-z:]+:)?`(?:[^`<\n]*<)?[~!.]*([^`>\n]+)>?`")
LINK = re.compile(r"\[`[~!.]?([^`\]]+)`\](?:\([^)\s]*\))?|\[([^\]\n]+)\]\([^)\s]*\)|`([^`<]+) <[^`>]*>`__?")
MARKS = re.compile(r"`{1,2}|\*{1,2}(?=\w)|(?<=\w)\*{1,2}|\[\d+\]_?|\$")
ARTICLE = re.compile(r"(An?|The) \w")
SENTENCE = re.compile(r"(?<=[a-z0-9)\]'\"`])[.!?](?=\s+[A-Z`(\"'])|[.!?]?\s*\Z|\n\n")


def doc_sections(docstring: str) -> tuple[str, dict[str, str]]:
    """What a docstring says before and between its sections, and the text of each by its name in lower case.

    Both NumPy's sections with underlines and Google's with indented text are read; ``args`` are ``parameters``.
    """
    text = inspect.cleandoc(docstring)
    sections: dict[str, str] = {}
    marks = list(NUMPY_SECTION.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    for mark, end in zip(marks, ends, strict=True):
        sections.setdefault(_section_name(mark["name"]), text[mark.end() : end].strip("\n"))
    prose = text[: marks[0].start()] if marks else text
    for mark in GOOGLE_SECTION.finditer(prose):
        sections.setdefault(_section_name(mark["name"]), inspect.cleandoc("\n" + mark["text"]))
    return GOOGLE_SECTION.sub("\n", prose).strip(), sections


def _section_name(heading: str) -> str:
    name = heading.strip().lower()
    return NAMES.get(name, name)


def plain_text(text: str) -> str:
    """Text without markup, code, outputs and directives; a paragraph a line."""
    for pattern in (CODE, DIRECTIVE):
        text = pattern.sub("", text)
    text = LINK.sub(lambda match: next(group for group in match.groups() if group), LITERAL.sub(".", text))
    text = BRACKETED.sub(r"\1", TAG.sub("", text))
    text = ROLE.sub(r"\1", DOUBLED.sub(r"\1", text))
    text = MARKS.sub("", text.replace("\\", ""))
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n[ \t]*\n", text))
    return "\n".join(paragraph for paragraph in paragraphs if any(sign.isalpha() for sign in paragraph))


def first_sentence(text: str) -> str:
    """The first sentence of a text, without its full stop."""
    match = SENTENCE.search(text.strip())
    sentence = text.strip()[: match.start()] if match else text.strip()
    return " ".join(sentence.split("\n")[0].split()).rstrip(" .:;,")


def cut_words(text: str, limit: int) -> str:
    """The first words of a text, whose lines are kept."""
    words = list(re.finditer(r"\S+", text))
    return text if len(words) <= limit else text[: words[limit - 1].end()]


def lower_first(text: str) -> str:
    """A text to go on with within a sentence: its first letter is small, unless the first word is a name."""
    word = text.split(maxsplit=1)[0] if text.split() else ""
    return text[:1].lower() + text[1:] if word[1:].islower() or len(word) == 1 else text


def verb_phrase(summary: str) -> str:
    """What a function does as an infinitive without "to"; empty where it does not say so.

    ``Computes the mean`` is ``compute the mean``, and what a function returns somebody wants to get.
    """
    first, _, rest = summary.partition(" ")
    word = first.lower()
    for base in (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y"):
        if base in INFINITIVES and rest and first[1:].islower() and not rest.startswith("of "):
            return f"{'get' if base == 'return' else base} {rest}"
    return ""


def ask(summary: str, rng: random.Random) -> str:
    """What somebody asks who looks for what a summary describes; empty where it is neither an action nor a thing."""
    if phrase := verb_phrase(summary):
        return rng.choice(("How do I {}?", "How can I {}?", "What would I use to {}?")).format(phrase)
    if ARTICLE.match(summary):
        return rng.choice(("What can you tell me about {}?", "I am looking for {}.")).format(lower_first(summary))
    return ""
