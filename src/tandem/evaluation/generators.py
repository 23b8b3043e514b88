"""What generators write: who brings back its own document, what is learnt from it, how much is copied; with examples, good and bad.

A generator is rewarded for what BM25 brings back, so BM25 is no judge of it. What leads is measured by retrievers that no reward has seen:
how often the untouched dense encoder finds a query's own document, and how good a retriever becomes that learns from equal numbers of each
generator's queries.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from tandem.evaluation.significance import compare
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.text import count_words, normalize_query, split_words

__all__ = [
    "COLUMNS",
    "KS",
    "LOGGED",
    "compare_generators",
    "compare_training",
    "copied_share",
    "describe_rounds",
    "to_markdown",
    "to_metrics",
]

KS = (1, 10, 70)
WITHIN = 10
TESTS = ["against", "difference", "low", "high", "p_randomisation"]
COLUMNS = ["generator", *(f"unseen_top_{k}" for k in KS), *(f"top_{k}" for k in KS), "copied_share", "distinct_share", "mean_words", *TESTS]
LOGGED = ("unseen_top_1", "unseen_top_10", "top_1", "top_10", "copied_share", "distinct_share", "mean_words")
Own = LabelledPair | PseudoQuery  # a query with a document of its own
Ranks = Callable[[Sequence[Own]], Mapping[str, int]]


def compare_generators(
    trials: Mapping[str, Sequence[PseudoQuery]],
    real: Sequence[LabelledPair],
    ranks: Mapping[str, Ranks],
    texts: Mapping[str, str],
    *,
    parents: Mapping[str, str],
    resamples: int,
    seed: int,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """One row for each generator, after one for real queries; and the values that the paired test is on.

    Args:
        trials: each generator's queries for the same documents, see :func:`tandem.generators.trial.write_trials`.
        real: labelled pairs to compare with; may be empty.
        ranks: by ``unseen`` (a retriever that no reward has seen) and ``rewarded`` (BM25, which the generator is rewarded by): the rank of
            its own document by query_id, for the queries that have one.
        texts: of the documents, by doc_id.
        parents: the generator that each came from; the paired test is against it, over documents, on the share of a document's
            queries that the unseen retriever brings back within 10.
        resamples: of the randomisation test and of the bootstrap.
        seed: of both.

    Returns:
        Rows: ``unseen_top_k`` and ``top_k`` (BM25) are shares of all queries; ``copied_share`` is the mean of :func:`copied_share`,
        ``distinct_share`` that of texts; lengths are in words. Values: the share of a document's queries that the unseen retriever brings
        back within 10, by generator and doc_id.
    """
    rows: list[dict[str, Any]] = []
    within: dict[str, dict[str, float]] = {}
    systems: dict[str, Sequence[Own]] = {**({"real": real} if real else {}), **trials}
    for name, pairs in systems.items():
        unseen, rewarded = ranks["unseen"](pairs), ranks["rewarded"](pairs)
        asked = {pair.query_id: pair for pair in pairs}  # a real query may have several documents
        queries, number = [normalize_query(pair.text) for pair in asked.values()], max(len(asked), 1)
        row: dict[str, Any] = {"generator": name}
        row |= {f"unseen_top_{k}": sum(rank <= k for rank in unseen.values()) / number for k in KS}
        row |= {f"top_{k}": sum(rank <= k for rank in rewarded.values()) / number for k in KS}
        row |= {"copied_share": sum(copied_share(pair.text, texts[pair.doc_id]) for pair in asked.values()) / number}
        row |= {"distinct_share": len(set(queries)) / number, "mean_words": sum(count_words(text) for text in queries) / number}
        within[name] = _by_document(pairs, unseen)
        parent = parents.get(name)
        if parent in within and within[name]:
            test = compare(within[parent], within[name], resamples=resamples, seed=seed)
            low, high = test.interval
            row |= {"against": parent, "difference": test.difference, "low": low, "high": high, "p_randomisation": test.p_randomisation}
        rows.append(row)
    return rows, {name: shares for name, shares in within.items() if name in trials}


def compare_training(
    values: Mapping[str, Mapping[str, float]], *, parents: Mapping[str, str], resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """What retrievers that learnt from equal numbers of each generator's queries measure on real queries, by generator.

    Args:
        values: of one measure by real query, by generator; ``untrained`` is what they all started from.
        parents: the generator that each came from; tested against it, and where it has no values, against ``untrained``.
        resamples: of the randomisation test.
        seed: of it.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, measured in values.items():
        found[name] = {"trained": sum(measured.values()) / max(len(measured), 1)}
        parent = parents.get(name, "untrained")
        against = parent if parent in values else "untrained"
        if name != "untrained" and measured:
            test = compare(values[against], measured, resamples=resamples, seed=seed)
            found[name] |= {"trained_against": against, "trained_difference": test.difference, "trained_p": test.p_randomisation}
    return found


def copied_share(query: str, document: str) -> float:
    """The share of a query's words in its longest run that stands word for word in the document; 1 is a copy, 0 shares no word."""
    words, source = split_words(query), split_words(document)
    match = SequenceMatcher(None, words, source, autojunk=False).find_longest_match(0, len(words), 0, len(source))
    return match.size / len(words) if words else 0.0


def _by_document(pairs: Sequence[Own], ranks: Mapping[str, int]) -> dict[str, float]:
    hits: dict[str, list[bool]] = {}
    for pair in pairs:
        hits.setdefault(pair.doc_id, []).append(ranks.get(pair.query_id, WITHIN + 1) <= WITHIN)
    return {doc_id: sum(found) / len(found) for doc_id, found in hits.items()}


def to_metrics(rows: Sequence[Mapping[str, Any]], training: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows of :func:`compare_generators` and what :func:`compare_training` found, by generator."""
    metrics = {row["generator"]: {key: value for key, value in row.items() if key != "generator"} for row in rows}
    for name, found in training.items():
        metrics.setdefault(name, {}).update(found)
    return metrics


def to_markdown(rows: Sequence[Mapping[str, Any]], training: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The rows of :func:`compare_generators` and, where there is any, of :func:`compare_training` as Markdown tables."""
    lines = [
        "| generator | unseen top 1 | top 10 | BM25 top 1 | top 10 | copied | distinct | words | against | top 10 gains [95 %] | p |",
        "|" + "---|" * 11,
    ]
    for row in rows:
        shares = [f"{row[name]:.1%}" for name in ("unseen_top_1", "unseen_top_10", "top_1", "top_10", "copied_share", "distinct_share")]
        tests = ["", "", ""]
        if "difference" in row:
            gain = f"{row['difference']:+.1%} [{row['low']:+.1%}, {row['high']:+.1%}]"
            tests = [row["against"], gain, f"{row['p_randomisation']:.3f}"]
        lines.append("| " + " | ".join([row["generator"], *shares, f"{row['mean_words']:.1f}", *tests]) + " |")
    note = (
        "Unseen: the untouched dense encoder, which no reward reads; gains are under it. Top k: share of queries whose own "
        "document is within k of the corpus. BM25 is what the generator is rewarded by. Copied: the longest run of a query's words that "
        "stands word for word in its document. p: paired randomisation test over documents."
    )
    lines += ["", note, ""]
    if training:
        lines += ["| a retriever that learnt from | nDCG@10 on real queries | against | gain | p |", "|" + "---|" * 5]
        for name, row in training.items():
            tests = ["", "", ""]
            if "trained_difference" in row:
                tests = [row["trained_against"], f"{row['trained_difference']:+.3f}", f"{row['trained_p']:.3f}"]
            lines.append("| " + " | ".join(["nothing" if name == "untrained" else name, f"{row['trained']:.3f}", *tests]) + " |")
        lines += ["", "The same number of queries, steps and negatives for each; p: paired randomisation test over queries.", ""]
    return "\n".join(lines)


def describe_rounds(rounds: Mapping[str, Sequence[PseudoQuery]], documents: Sequence[Document], *, examples: int, seed: int) -> str:
    """For each round: how many queries there were, why they were rejected, and random ones of both kinds, as Markdown.

    Args:
        rounds: filtered rows by round.
        documents: the corpus; the report shows how each begins.
        examples: rows a round, drawn by seed from all of them.
        seed: of the draw.
    """
    shown = {row.doc_id for rows in rounds.values() for row in rows}
    beginnings = {document.doc_id: document.text[:80] for document in documents if document.doc_id in shown}
    parts = []
    for name, rows in rounds.items():
        reasons = Counter(row.reason or "kept" for row in rows)
        parts += [f"## Round {name}: {reasons['kept']} of {len(rows)} queries kept", ""]
        parts += ["| outcome | queries |", "|---|---|", *(f"| {reason} | {count} |" for reason, count in reasons.most_common()), ""]
        drawn = random.Random(f"examples:{seed}:{name}").sample(list(rows), min(examples, len(rows)))
        parts += ["| query | keywords offered | its document | outcome | ranks |", "|---|---|---|---|---|"]
        for row in drawn:
            ranks = ", ".join(f"{run} {rank}" for run, rank in row.ranks.items())
            cells = [row.text, row.keywords, beginnings[row.doc_id], row.reason or "kept", ranks]
            parts.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)
