"""What generators write: who brings back its own document, how often, how differently; with examples, good and bad."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tandem.evaluation.significance import compare
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.text import count_words, normalize_query

__all__ = ["COLUMNS", "KS", "compare_generators", "describe_rounds", "to_markdown"]

KS = (1, 10, 70)
TESTS = ["against", "difference", "low", "high", "p_randomisation"]
COLUMNS = ["generator", *(f"top_{k}" for k in KS), "distinct_share", "mean_words", *TESTS]
Own = LabelledPair | PseudoQuery  # a query with a document of its own
Ranks = Callable[[Sequence[Own]], Mapping[str, int]]


def compare_generators(
    trials: Mapping[str, Sequence[PseudoQuery]],
    real: Sequence[LabelledPair],
    ranks: Ranks,
    *,
    parents: Mapping[str, str],
    resamples: int,
    seed: int,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """One row for each generator, after one for real queries; and the values that the paired test is on.

    Args:
        trials: each generator's queries for the same documents, see :func:`tandem.generators.trial.write_trials`.
        real: labelled pairs to compare lengths and round trips with; may be empty.
        ranks: gives the rank of its own document by query_id, for the queries that have one.
        parents: the generator that each came from; the paired test is against it, over documents, on the share of a document's
            queries that come back within 10.
        resamples: of the randomisation test and of the bootstrap.
        seed: of both.

    Returns:
        Rows: ``top_k`` are shares of all queries; ``distinct_share`` is that of texts; lengths are in words. Values: the share of a
        document's queries that come back within 10, by generator and doc_id.
    """
    rows: list[dict[str, Any]] = []
    within: dict[str, dict[str, float]] = {}
    systems: dict[str, Sequence[Own]] = {**({"real": real} if real else {}), **trials}
    for name, pairs in systems.items():
        own = ranks(pairs)
        texts = [normalize_query(pair.text) for pair in pairs]
        row: dict[str, Any] = {"generator": name}
        row |= {f"top_{k}": sum(rank <= k for rank in own.values()) / max(len(pairs), 1) for k in KS}
        row |= {"distinct_share": len(set(texts)) / max(len(texts), 1)}
        row |= {"mean_words": sum(count_words(text) for text in texts) / max(len(texts), 1)}
        within[name] = _by_document(pairs, own)
        parent = parents.get(name)
        if parent in within and within[name]:
            test = compare(within[parent], within[name], resamples=resamples, seed=seed)
            low, high = test.interval
            row |= {"against": parent, "difference": test.difference, "low": low, "high": high, "p_randomisation": test.p_randomisation}
        rows.append(row)
    return rows, {name: own for name, own in within.items() if name in trials}


def _by_document(pairs: Sequence[Own], ranks: Mapping[str, int]) -> dict[str, float]:
    hits: dict[str, list[bool]] = {}
    for pair in pairs:
        hits.setdefault(pair.doc_id, []).append(ranks.get(pair.query_id, KS[1] + 1) <= KS[1])
    return {doc_id: sum(own) / len(own) for doc_id, own in hits.items()}


def to_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of :func:`compare_generators` as a Markdown table."""
    lines = ["| generator | top 1 | top 10 | top 70 | distinct | words | against | top 10 gains [95 %] | p |", "|" + "---|" * 9]
    for row in rows:
        shares = [f"{row[name]:.1%}" for name in ("top_1", "top_10", "top_70", "distinct_share")]
        tests = ["", "", ""]
        if "difference" in row:
            gain = f"{row['difference']:+.1%} [{row['low']:+.1%}, {row['high']:+.1%}]"
            tests = [row["against"], gain, f"{row['p_randomisation']:.3f}"]
        lines.append("| " + " | ".join([row["generator"], *shares, f"{row['mean_words']:.1f}", *tests]) + " |")
    note = "Top k: share of queries whose own document BM25 ranks within k of the corpus. p: paired randomisation test over documents."
    return "\n".join([*lines, "", note, ""])


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
