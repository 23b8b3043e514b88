"""What generators write, as Markdown: the tables of their comparison, and queries of every round with their outcome."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from tandem.evaluation.generators import UNTRAINED, GeneratorRow, TrainingRow
from tandem.records import Document, PseudoQuery

__all__ = ["describe_rounds", "to_markdown"]

BEGINNING = 80  # characters of a document beside its query


def to_markdown(rows: Sequence[GeneratorRow], training: Mapping[str, TrainingRow] | None = None) -> str:
    """The rows of :func:`tandem.evaluation.generators.compare_generators` and, where there is any, of ``compare_training`` as tables."""
    measured = ["dense top 1", "dense top 10", "BM25 top 1", "BM25 top 10", "copied", "distinct", "words"]
    lines = [f"| generator | {' | '.join(measured)} | against | dense top 10 gain [95 %] | p |", "|" + "---|" * 11]
    for row in rows:
        shares = [row.unseen_top[1], row.unseen_top[10], row.top[1], row.top[10], row.copied_share, row.distinct_share]
        tests = ["", "", ""]
        if row.test:
            low, high = row.test.interval
            tests = [row.against, f"{row.test.difference:+.1%} [{low:+.1%}, {high:+.1%}]", f"{row.test.p_randomisation:.3f}"]
        cells = [row.generator, *(f"{share:.1%}" for share in shares), f"{row.mean_words:.1f}", *tests]
        lines.append("| " + " | ".join(cells) + " |")
    note = (
        "Top k: share of queries whose source document is within the first k results over the whole corpus. Dense: the untouched dense "
        "encoder, which no reward reads; gains are measured by it. BM25 is what the generator is rewarded by. Copied: the longest run of a "
        "query's words that stands word for word in its source document. p: paired randomisation test over documents."
    )
    lines += ["", note, ""]
    return "\n".join([*lines, *(_training_lines(training) if training else [])])


def _training_lines(training: Mapping[str, TrainingRow]) -> list[str]:
    lines = ["| retriever trained on queries of | nDCG@10 on real queries | against | gain | p |", "|" + "---|" * 5]
    for name, row in training.items():
        tests = [row.against, f"{row.test.difference:+.3f}", f"{row.test.p_randomisation:.3f}"] if row.test else ["", "", ""]
        lines.append("| " + " | ".join(["nothing" if name == UNTRAINED else name, f"{row.trained:.3f}", *tests]) + " |")
    return [*lines, "", "The same number of queries, steps and negatives for each; p: paired randomisation test over queries.", ""]


def describe_rounds(rounds: Mapping[str, Sequence[PseudoQuery]], documents: Sequence[Document], *, examples: int, seed: int) -> str:
    """For each round: how many queries there were, why they were rejected, and random ones of both kinds, as Markdown.

    Args:
        rounds: filtered rows by round.
        documents: the corpus; each query has the beginning of its source document.
        examples: rows a round, drawn by seed from all of them.
        seed: of the draw.
    """
    sources = {row.doc_id for rows in rounds.values() for row in rows}
    beginnings = {document.doc_id: document.text[:BEGINNING] for document in documents if document.doc_id in sources}
    lines = []
    for name, rows in rounds.items():
        reasons = Counter(row.reason or "kept" for row in rows)
        lines += [f"## Round {name}: {reasons['kept']} of {len(rows)} queries kept", ""]
        lines += ["| outcome | queries |", "|---|---|", *(f"| {reason} | {count} |" for reason, count in reasons.most_common()), ""]
        drawn = random.Random(f"examples:{seed}:{name}").sample(list(rows), min(examples, len(rows)))
        lines += ["| query | keywords offered | source document | outcome | ranks |", "|---|---|---|---|---|"]
        for row in drawn:
            ranks = ", ".join(f"{run} {rank}" for run, rank in row.ranks.items())
            cells = [row.text, row.keywords, beginnings[row.doc_id], row.reason or "kept", ranks]
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
