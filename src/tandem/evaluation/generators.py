"""Generators side by side: how often a query finds its source document, what a retriever learns from the queries, how much is copied.

A generator is rewarded for what BM25 finds, so BM25 is no judge of it. What leads is measured by retrievers that no reward has seen:
how often the untouched dense encoder finds a query's source document, and how good a retriever becomes that learns from equal numbers of
each generator's queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from tandem.evaluation.significance import Comparison, SignificanceSettings, compare
from tandem.records import LabelledPair, PseudoQuery
from tandem.text import count_words, normalize_query, split_words

__all__ = [
    "COLUMNS",
    "KS",
    "GeneratorRow",
    "TrainingRow",
    "compare_generators",
    "compare_training",
    "copied_share",
    "to_metrics",
]

KS = (1, 10, 70)
WITHIN = 10
QUALITIES = ["copied_share", "distinct_share", "mean_words"]
TESTS = ["against", "difference", "low", "high", "p_randomisation"]
COLUMNS = ["generator", *(f"unseen_top_{k}" for k in KS), *(f"top_{k}" for k in KS), *QUALITIES, *TESTS]
LOGGED = ("unseen_top_1", "unseen_top_10", "top_1", "top_10", *QUALITIES)
UNTRAINED = "untrained"
Pair = LabelledPair | PseudoQuery
Ranks = Callable[[Sequence[Pair]], Mapping[str, int]]
Cell = str | float


@dataclass(frozen=True, slots=True)
class GeneratorRow:
    """One generator's queries, or the real ones.

    ``unseen_top`` and ``top`` are the shares of all queries whose source document the unseen retriever and BM25 rank within k, by k;
    ``copied_share`` is the mean of :func:`copied_share`, ``distinct_share`` that of texts; ``test`` is the comparison with the generator
    ``against`` that it came from, over documents.
    """

    generator: str
    unseen_top: dict[int, float]
    top: dict[int, float]
    copied_share: float
    distinct_share: float
    mean_words: float
    against: str = ""
    test: Comparison | None = None

    def measures(self) -> dict[str, float]:
        """The numbers by the names of ``COLUMNS``, those of the test left out."""
        shares = {f"unseen_top_{k}": share for k, share in self.unseen_top.items()} | {f"top_{k}": share for k, share in self.top.items()}
        return {**shares, **{name: getattr(self, name) for name in QUALITIES}}

    def logged(self) -> dict[str, float]:
        """The measures that a record of the stage keeps."""
        return {name: value for name, value in self.measures().items() if name in LOGGED}

    def as_dict(self) -> dict[str, Cell]:
        """The row as JSON and CSV have it, keys as in ``COLUMNS``."""
        row: dict[str, Cell] = {"generator": self.generator, **self.measures()}
        if self.test:
            low, high = self.test.interval
            row |= {"against": self.against, "difference": self.test.difference, "low": low, "high": high}
            row |= {"p_randomisation": self.test.p_randomisation}
        return row


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """The retriever that learnt from one generator's queries: its mean on real queries, and its test ``against`` another."""

    trained: float
    against: str = ""
    test: Comparison | None = None

    def as_dict(self) -> dict[str, Cell]:
        """The row as JSON has it."""
        row: dict[str, Cell] = {"trained": self.trained}
        if self.test:
            row |= {"trained_against": self.against, "trained_difference": self.test.difference, "trained_p": self.test.p_randomisation}
        return row


def compare_generators(
    trials: Mapping[str, Sequence[PseudoQuery]],
    real: Sequence[LabelledPair],
    ranks: Mapping[str, Ranks],
    texts: Mapping[str, str],
    *,
    parents: Mapping[str, str],
    settings: SignificanceSettings,
) -> tuple[list[GeneratorRow], dict[str, dict[str, float]]]:
    """One row for each generator, after one for real queries; and the values that the paired test is on.

    Args:
        trials: each generator's queries for the same documents, see :func:`tandem.generators.trial.write_trials`.
        real: labelled pairs to compare with; may be empty.
        ranks: by ``unseen`` (a retriever that no reward has seen) and ``rewarded`` (BM25, which the generator is rewarded by): the rank of
            the source document by query_id, for the queries that find it.
        texts: of the documents, by doc_id.
        parents: the generator that each came from; the paired test is against it.
        settings: of the test.

    Returns:
        The rows, and the share of a document's queries for which the unseen retriever ranks it within 10, by generator and doc_id.
    """
    rows: list[GeneratorRow] = []
    within: dict[str, dict[str, float]] = {}
    systems: dict[str, Sequence[Pair]] = {**({"real": real} if real else {}), **trials}
    for name, pairs in systems.items():
        unseen, rewarded = ranks["unseen"](pairs), ranks["rewarded"](pairs)
        within[name] = _shares_by_document(pairs, unseen)
        parent = parents.get(name, "")
        test = compare(within[parent], within[name], settings) if parent in within and within[name] else None
        rows.append(_row(name, pairs, unseen, rewarded, texts, parent, test))
    return rows, {name: shares for name, shares in within.items() if name in trials}


def _row(
    name: str,
    pairs: Sequence[Pair],
    unseen: Mapping[str, int],
    rewarded: Mapping[str, int],
    texts: Mapping[str, str],
    parent: str,
    test: Comparison | None,
) -> GeneratorRow:
    by_query = {pair.query_id: pair for pair in pairs}  # a real query may have several documents
    queries, count = [normalize_query(pair.text) for pair in by_query.values()], max(len(by_query), 1)
    return GeneratorRow(
        name,
        {k: sum(rank <= k for rank in unseen.values()) / count for k in KS},
        {k: sum(rank <= k for rank in rewarded.values()) / count for k in KS},
        sum(copied_share(pair.text, texts[pair.doc_id]) for pair in by_query.values()) / count,
        len(set(queries)) / count,
        sum(count_words(text) for text in queries) / count,
        parent if test else "",
        test,
    )


def compare_training(
    values: Mapping[str, Mapping[str, float]], *, parents: Mapping[str, str], settings: SignificanceSettings
) -> dict[str, TrainingRow]:
    """What retrievers that learnt from equal numbers of each generator's queries measure on real queries, by generator.

    Args:
        values: of one measure by real query, by generator; ``untrained`` is what they all started from.
        parents: the generator that each came from; tested against it, and where it has no values, against ``untrained``.
        settings: of the test.
    """
    rows: dict[str, TrainingRow] = {}
    for name, measured in values.items():
        mean = sum(measured.values()) / max(len(measured), 1)
        parent = parents.get(name, UNTRAINED)
        against = parent if parent in values else UNTRAINED
        tested = name != UNTRAINED and measured
        rows[name] = TrainingRow(mean, against, compare(values[against], measured, settings)) if tested else TrainingRow(mean)
    return rows


def copied_share(query: str, document: str) -> float:
    """The share of a query's words in its longest run that stands word for word in the document; 1 is a copy, 0 shares no word."""
    words, source = split_words(query), split_words(document)
    match = SequenceMatcher(None, words, source, autojunk=False).find_longest_match(0, len(words), 0, len(source))
    return match.size / len(words) if words else 0.0


def _shares_by_document(pairs: Sequence[Pair], ranks: Mapping[str, int]) -> dict[str, float]:
    hits: dict[str, list[bool]] = {}
    for pair in pairs:
        hits.setdefault(pair.doc_id, []).append(ranks.get(pair.query_id, WITHIN + 1) <= WITHIN)
    return {doc_id: sum(hit) / len(hit) for doc_id, hit in hits.items()}


def to_metrics(rows: Sequence[GeneratorRow], training: Mapping[str, TrainingRow]) -> dict[str, dict[str, Cell]]:
    """The rows of :func:`compare_generators` and of :func:`compare_training` in one, by generator."""
    metrics = {row.generator: {key: value for key, value in row.as_dict().items() if key != "generator"} for row in rows}
    for name, row in training.items():
        metrics.setdefault(name, {}).update(row.as_dict())
    return metrics
