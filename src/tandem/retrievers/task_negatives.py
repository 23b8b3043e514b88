"""Hard negatives of task rows from any search of the task's corpus: LLM-Embedder's ``collate_neg``, with every key left out accounted for.

A search knows the keys of a corpus by their places, as strings. Rows may be parted among processes: searches are made of the same blocks of
queries however many there are, so that rounding is the same too, and the merged parts are the bytes of one process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Literal

from ir_measures import ScoredDoc

from tandem.interfaces import Searcher
from tandem.records import TaskRow
from tandem.runs import rank_results
from tandem.settings import Count, Depth, Settings
from tandem.text import answer_tokens, holds_answer, normalize_query

__all__ = ["TaskCorpus", "TaskMiningSettings", "corpus_of", "merge_shards", "mine_task_negatives", "shard_rows"]

BLOCK = 256  # queries searched at once


class TaskMiningSettings(Settings):
    """How many negatives a row is given, and of which keys."""

    max_negatives: Count = 100
    """a row, at most: the first ones of the search that are left"""
    depth: Depth = 200
    """keys that the search is asked for, of which some are left out"""
    answers: Literal["keep", "tokens", "substring"] = "keep"
    """keys that hold an answer of the row: keep them; leave them out by Natural Questions' tokens, or by text whatever the case"""


def corpus_of(keys: Sequence[str]) -> dict[str, str]:
    """A corpus as searches take it: text by place."""
    return {str(place): key for place, key in enumerate(keys)}


class TaskCorpus:
    """The keys of a task by their places, and which of them are the same or nearly so.

    Args:
        keys: texts, in the order of the corpus.
        groups: of each key the place of the first of its near duplicates, by :func:`tandem.corpora.near_duplicates.duplicate_groups`;
            None knows exact duplicates alone, white space and case aside.

    Raises:
        ValueError: there is not one group a key.
    """

    def __init__(self, keys: Sequence[str], groups: Sequence[int] | None = None) -> None:
        if groups is not None and len(groups) != len(keys):
            raise ValueError(f"{len(groups)} groups found for {len(keys)} keys; make them of this corpus")
        self.keys = keys
        self.groups = range(len(keys)) if groups is None else groups
        self.texts = [normalize_query(key) for key in keys]

    @cached_property
    def places(self) -> Mapping[str, list[int]]:
        """Where each text stands, by normalised text."""
        places: dict[str, list[int]] = {}
        for place, text in enumerate(self.texts):
            places.setdefault(text, []).append(place)
        return places

    def place_of(self, doc_id: str) -> int:
        """The place that a search names.

        Raises:
            ValueError: it is none of this corpus, as the -1 that faiss pads with.
        """
        place = int(doc_id) if doc_id.isdecimal() else -1
        if not 0 <= place < len(self.keys):
            raise ValueError(f"'{doc_id}' found in a run, which is no place of a corpus of {len(self.keys)} keys; search the same corpus")
        return place


def mine_task_negatives(
    rows: Sequence[TaskRow], corpus: TaskCorpus, searcher: Searcher, settings: TaskMiningSettings
) -> tuple[list[TaskRow], dict[str, int]]:
    """Give each row the first keys of a search for its query that are not known to serve it.

    Left out are the row's own keys by place and by text, near duplicates of them, keys without text, keys with the text of an earlier
    negative and, where asked for, keys with an answer. New negatives take the place of all former ones and of the teacher's scores; a row
    for which nothing is left stays as it was, and is counted.

    Args:
        rows: of one task.
        corpus: of the task.
        searcher: of the same corpus by place, see :func:`corpus_of`.
        settings: of the mining.

    Returns:
        The rows in their order, and counts: ``rows``, ``negatives``, ``rows_without_results`` of the search, ``rows_without_negatives``
        (these and those whose results were all left out), ``scores_dropped`` (rows), and keys left out by reason: ``by_place``,
        ``by_text``, ``near_duplicates``, ``repeated``, ``empty``, ``answers``.

    Raises:
        ValueError: a place that is none of the corpus, in a row or in a run.
    """
    names = ("rows", "negatives", "rows_without_results", "rows_without_negatives", "scores_dropped")
    counts = dict.fromkeys((*names, "by_place", "by_text", "near_duplicates", "repeated", "empty", "answers"), 0)
    mined = []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        # A query's id may look like a place, whose key a search would leave out; and ties are broken by it, which no shard may change.
        queries = {f"\t{row.query}": row.query for row in block}
        results = rank_results(searcher.search(queries, depth=settings.depth))
        mined += [_mine(row, results.get(f"\t{row.query}", []), corpus, settings, counts) for row in block]
    return mined, counts


def _mine(row: TaskRow, results: Sequence[ScoredDoc], corpus: TaskCorpus, settings: TaskMiningSettings, counts: dict[str, int]) -> TaskRow:
    barred = _Barred(row, corpus, settings)
    chosen: list[int] = []
    for item in results:
        place = corpus.place_of(item.doc_id)
        if reason := barred.reason(place):
            counts[reason] += 1
        elif len(chosen) < settings.max_negatives:
            chosen.append(place)
            barred.taken.add(corpus.texts[place])
    counts["rows"] += 1
    counts["negatives"] += len(chosen)
    counts["rows_without_results"] += not results
    counts["rows_without_negatives"] += not chosen
    if not chosen:
        return row
    counts["scores_dropped"] += row.teacher_scores is not None
    return row.model_copy(update={"neg": [corpus.keys[place] for place in chosen], "neg_index": chosen, "teacher_scores": None})


class _Barred:
    """What is no negative of one row, and why."""

    def __init__(self, row: TaskRow, corpus: TaskCorpus, settings: TaskMiningSettings) -> None:
        self.corpus, self.places, self.taken = corpus, set(row.pos_index or ()), set[str]()
        if beyond := [place for place in self.places if not 0 <= place < len(corpus.keys)]:
            raise ValueError(f"row {row.query_id}: pos_index: {beyond[0]} found, the corpus has {len(corpus.keys)} keys, numbered from 0")
        self.texts = {normalize_query(text) for text in row.pos} | {corpus.texts[place] for place in self.places}
        same = chain.from_iterable(corpus.places.get(text, ()) for text in self.texts)
        self.groups = {corpus.groups[place] for place in (*self.places, *same)}
        self.rule = settings.answers
        spelled = [answer_tokens(answer) for answer in row.answers] if self.rule == "tokens" else [answer.lower() for answer in row.answers]
        self.answers = [] if self.rule == "keep" else spelled

    def reason(self, place: int) -> str:
        """The count that a key left out goes to, or an empty string."""
        text = self.corpus.texts[place]
        if place in self.places:
            return "by_place"
        if text in self.texts:
            return "by_text"
        if self.corpus.groups[place] in self.groups:
            return "near_duplicates"
        if not text:
            return "empty"
        if text in self.taken:
            return "repeated"
        if self.answers:
            key = self.corpus.keys[place]
            if holds_answer(answer_tokens(key) if self.rule == "tokens" else key.lower(), self.answers):
                return "answers"
        return ""


def shard_rows(rows: Sequence[TaskRow], rank: int, world_size: int) -> list[TaskRow]:
    """The rows of one of several processes: every ``world_size``-th block of those that are searched at once.

    Raises:
        ValueError: no such rank.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank: {rank} found, allowed: 0 to {world_size - 1}")
    return [row for start in range(rank * BLOCK, len(rows), world_size * BLOCK) for row in rows[start : start + BLOCK]]


def merge_shards(parts: Sequence[Sequence[TaskRow]]) -> list[TaskRow]:
    """The rows of all processes in the order of one.

    Args:
        parts: what each made of its :func:`shard_rows`, by rank.

    Raises:
        ValueError: the parts do not fit together, as where one is missing.
    """
    total = sum(len(part) for part in parts)
    expected = [sum(min(BLOCK, total - start) for start in range(rank * BLOCK, total, len(parts) * BLOCK)) for rank in range(len(parts))]
    if (sizes := [len(part) for part in parts]) != expected:
        raise ValueError(f"parts of {sizes} rows found, {total} rows are parted into {expected}; give the part of every rank, by rank")
    blocks = [(part[start : start + BLOCK], start, rank) for rank, part in enumerate(parts) for start in range(0, len(part), BLOCK)]
    return [row for block, _, _ in sorted(blocks, key=lambda item: item[1:]) for row in block]
