"""Text as queries and documents have it: when two queries are the same, what a word is, which words say little, in any language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, get_args

import regex

__all__ = [
    "MARKS",
    "UNSPACED",
    "Language",
    "answer_tokens",
    "count_words",
    "find_near_duplicates",
    "holds_answer",
    "normalize_query",
    "split_words",
    "stem_words",
    "stop_words",
]

Language = Literal[
    "none",
    "arabic",
    "armenian",
    "basque",
    "catalan",
    "chinese",
    "czech",
    "danish",
    "dutch",
    "english",
    "esperanto",
    "estonian",
    "finnish",
    "french",
    "german",
    "greek",
    "hindi",
    "hungarian",
    "indonesian",
    "irish",
    "italian",
    "japanese",
    "korean",
    "lithuanian",
    "nepali",
    "norwegian",
    "persian",
    "polish",
    "portuguese",
    "romanian",
    "russian",
    "serbian",
    "spanish",
    "swedish",
    "tamil",
    "thai",
    "turkish",
    "yiddish",
]
"""``none`` has no stop words and no stems; chinese, japanese, korean and thai have no stems."""
# Vowel signs, viramas, tone marks and accents belong to the letter before them; ``\w`` leaves them out.
MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
WORD = re.compile(rf"[^\W_](?:[^\W_]|[{MARKS}])*")
# A run of letters, digits and marks, or one sign that is neither space nor control character.
ANSWER_TOKEN = regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]")
# Scripts that put no space between words: kana, Han, Thai, Lao, Myanmar, Khmer.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
RUN = re.compile(f"[{UNSPACED}]+|[^{UNSPACED}]+")
# What bm25s's list of 33 lacks, and queries are full of.
ENGLISH = """
    a about above after again all also although an and any are as at be because been before being below between both but by can cannot
    could did do does doing down during each either else etc even every few for from further given had has have having he her here
    hers him his how however i if in instead into is it its itself just less like made make many may might more most much must need
    neither no nor not now of off on once one only onto or other otherwise our out over own per rather same see shall she should since
    so some such than that the their them then there therefore these they this those three through thus to too two under until up upon
    us use used user users uses using very via was we well were what when where whether which while who whom whose why will with
    within without would yet you your yours
"""


def normalize_query(text: str) -> str:
    """What two texts share that are one query: case and white space are folded, nothing else.

    The one definition in the program: of ids, labels, splits and repetitions. ``C++ sort`` and ``C# sort`` are two queries.
    """
    return " ".join(text.lower().split())


def split_words(text: str, *, minimum: int = 1) -> list[str]:
    """The words of a text in lower case: letters and digits of any script; of a script without spaces, pairs of neighbouring characters.

    Pairs are what Lucene's analyzers take of Chinese and Japanese text: they need no dictionary, and find what dictionaries do not have.

    Args:
        text: of any language.
        minimum: characters of a word at least, in scripts that have spaces.
    """
    words = []
    for word in WORD.findall(unicodedata.normalize("NFC", text.lower())):
        for run in RUN.findall(word) if not word.isascii() else (word,):
            if _is_unspaced(run):
                words += [run[i : i + 2] for i in range(max(len(run) - 1, 1))]
            elif len(run) >= minimum:
                words.append(run)
    return words


def count_words(text: str) -> int:
    """How many words a person would count, about: what spaces part, and two characters a word in scripts without spaces."""
    total = 0
    for piece in text.split():
        unspaced = sum(len(run) for run in RUN.findall(piece) if _is_unspaced(run)) if not piece.isascii() else 0
        total += (unspaced + 1) // 2 if unspaced else 1
    return total


def _is_unspaced(run: str) -> bool:
    return not run.isascii() and re.match(f"[{UNSPACED}]", run) is not None


def answer_tokens(text: str) -> str:
    """The tokens by which answers are looked for in passages, in lower case, with a space before, between and after them.

    Runs of letters, digits and marks, and single other signs, after decomposition (NFD): the rule of DPR for Natural Questions
    (Karpukhin et al. 2020). A text without a token gives an empty string.
    """
    tokens = ANSWER_TOKEN.findall(unicodedata.normalize("NFD", text))
    return f" {' '.join(tokens).lower()} " if tokens else ""


def holds_answer(passage: str, answers: Iterable[str]) -> bool:
    """Whether the tokens of an answer follow each other in a passage; both are given by :func:`answer_tokens`.

    An answer without tokens is in no passage.
    """
    return any(answer and answer in passage for answer in answers)


@cache
def stop_words(language: Language) -> frozenset[str]:
    """Words of a language that tell no document from another; empty where there is no list (bm25s has lists of fifteen languages).

    Raises:
        ValueError: no such language.
    """
    if language not in get_args(Language):
        raise ValueError(f"language: {language!r} found, allowed: {', '.join(get_args(Language))}")
    from bm25s import stopwords

    if language == "english":
        return frozenset((*stopwords.STOPWORDS_EN, *ENGLISH.split()))
    return frozenset(word.lower() for word in getattr(stopwords, f"STOPWORDS_{language.upper()}", ()))


def stem_words(words: Sequence[str], language: Language) -> list[str]:
    """The Snowball stem of each word (Porter 2001); of a language that has no stemmer, the words themselves."""
    stemmer = _stemmer(language)
    stems: list[str] = list(words) if stemmer is None else stemmer.stemWords(list(words))
    return stems


@cache
def _stemmer(language: Language) -> Any:
    import Stemmer

    return Stemmer.Stemmer(language) if language in Stemmer.algorithms() else None


def find_near_duplicates(held_out: Mapping[str, str], texts: Sequence[str], *, threshold: float) -> dict[int, str]:
    """Texts that are a held-out query, or nearly so: what may not be trained on.

    Two queries are near duplicates if they are the same (:func:`normalize_query`), or if the Jaccard similarity of their sets of words
    reaches the threshold; word order, case and punctuation do not count. Queries of fewer than three different words are near duplicates
    only where these words are the same, and queries without a word, such as ``???``, only where they are the same query.

    Args:
        held_out: text by query_id.
        texts: of what is trained on.
        threshold: 0 to 1.

    Returns:
        The query_id of a held-out query, by the index of the text.
    """
    same = {normalize_query(text): query_id for query_id, text in held_out.items()}
    words = {query_id: frozenset(split_words(text)) for query_id, text in held_out.items()}
    by_word: dict[str, list[str]] = {}
    for query_id, bag in words.items():
        for word in bag:
            by_word.setdefault(word, []).append(query_id)
    twins = {}
    for i, text in enumerate(texts):
        if (key := normalize_query(text)) in same:
            twins[i] = same[key]
            continue
        bag = frozenset(split_words(text))
        shared: dict[str, int] = {}
        for word in bag:
            for query_id in by_word.get(word, ()):
                shared[query_id] = shared.get(query_id, 0) + 1
        for query_id, count in shared.items():
            least = threshold if min(len(bag), len(words[query_id])) >= 3 else 1.0
            if count / (len(bag) + len(words[query_id]) - count) >= least:
                twins[i] = query_id
                break
    return twins
