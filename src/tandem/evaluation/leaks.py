"""Leaks: test queries in what is trained on, dev queries used twice, documents of the test set barred or favoured.

docs/honesty.md says what each check finds and what none of them can find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ir_measures import Qrel
from scipy import stats

from tandem.formats.errors import InputError
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.settings import OpenShare, PositiveShare, Settings, Share
from tandem.text import find_near_duplicates

__all__ = [
    "Finding",
    "HeldOut",
    "LeakSettings",
    "TrainingData",
    "check_all",
    "find_queries",
    "raise_leaks",
    "selection_bias",
    "to_markdown",
]

EXAMPLES = 5


class LeakSettings(Settings):
    """What counts as a leak."""

    near_duplicate_threshold: PositiveShare
    """Jaccard similarity of two queries' words from which they are one query"""
    allowed_share: Share
    """of a round's generated queries that may be a test or dev query by chance"""
    alpha: OpenShare
    """p-value below which test documents count as barred or favoured"""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything that is trained on, or that chooses what is trained.

    ``train`` and ``dev`` are labelled pairs, ``generated`` what the generator wrote, by round, ``template`` that of its prompts.
    """

    train: Sequence[LabelledPair]
    dev: Sequence[LabelledPair]
    generated: Mapping[str, Sequence[PseudoQuery]]
    template: str


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Test queries, text by query_id, and their judgements."""

    queries: Mapping[str, str]
    qrels: Sequence[Qrel]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: how many rows it found among how many, how many it allows, and some of them."""

    check: str
    found: int
    among: int
    allowed: float
    examples: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether more were found than are allowed."""
        return self.found > self.allowed


def find_queries(check: str, held_out: Mapping[str, str], texts: Sequence[str], *, threshold: float, allowed_share: float = 0.0) -> Finding:
    """Held-out queries among texts, by :func:`tandem.text.find_near_duplicates`.

    Args:
        check: what it is called in the report.
        held_out: text by query_id.
        texts: of what is trained on.
        threshold: see there.
        allowed_share: of the texts; a generator that never saw a test query may still write one by chance.
    """
    twins = find_near_duplicates(held_out, texts, threshold=threshold)
    examples = tuple(f"'{texts[i]}' is '{held_out[query_id]}'" for i, query_id in list(twins.items())[:EXAMPLES])
    return Finding(check, len(twins), len(texts), allowed_share * len(texts), examples)


def selection_bias(check: str, chosen: set[str], marked: set[str], population: set[str], *, alpha: float) -> Finding:
    """Whether marked documents are among the chosen more or less often than by chance (hypergeometric, two-sided).

    Args:
        check: what it is called in the report.
        chosen: documents that queries were written for.
        marked: documents that are relevant to a test query.
        population: the corpus.
        alpha: p-value below which it is a finding: as many as there are more or fewer than expected.
    """
    drawn, hits, total = len(chosen & population), len(chosen & marked), len(marked & population)
    chance = stats.hypergeom(len(population), total, drawn)
    p = min(1.0, 2 * min(float(chance.cdf(hits)), float(chance.sf(hits - 1))))
    expected = float(chance.mean()) if drawn else 0.0
    verdict = (f"{hits} of the {drawn} documents queried are relevant to a test query, {expected:.1f} expected, p {p:.2g}",)
    return Finding(check, max(round(abs(hits - expected)), 1) if p < alpha else 0, drawn, 0, verdict)


def check_all(corpus: Sequence[Document], training: TrainingData, test: HeldOut, settings: LeakSettings) -> list[Finding]:
    """Every check of docs/honesty.md.

    Args:
        corpus: all documents.
        training: everything that is trained on, or that chooses what is trained.
        test: what must not be in it.
        settings: what counts as a leak.
    """
    train, queries = training.train, test.queries
    dev_queries = {pair.query_id: pair.text for pair in training.dev}
    near = settings.near_duplicate_threshold
    by_id = sorted({pair.query_id for pair in [*train, *training.dev]} & set(queries))
    twice = sorted({pair.query_id for pair in train} & set(dev_queries))
    texts = [pair.text for pair in train]
    labelled = len(train) + len(training.dev)
    findings = [
        Finding("test queries among labelled pairs, by id", len(by_id), labelled, 0, tuple(by_id[:EXAMPLES])),
        find_queries("test queries among training pairs, by words", queries, texts, threshold=near),
        find_queries("test queries among dev pairs, by words", queries, list(dev_queries.values()), threshold=near),
        find_queries("test queries in the prompt's template", queries, training.template.splitlines(), threshold=near),
        Finding("dev queries among training pairs, by id", len(twice), len(train), 0, tuple(twice[:EXAMPLES])),
        find_queries("dev queries among training pairs, by words", dev_queries, texts, threshold=near),
    ]
    population = {document.doc_id for document in corpus}
    relevant = {qrel.doc_id for qrel in test.qrels if qrel.relevance > 0}
    for name, rows in training.generated.items():
        written = [row.text for row in rows if row.text]
        for kind, held_out in (("test", queries), ("dev", dev_queries)):
            check = f"{kind} queries among those of {name}"
            findings.append(find_queries(check, held_out, written, threshold=near, allowed_share=settings.allowed_share))
        sources = {row.doc_id for row in rows}
        check = f"test documents barred or favoured in {name}"
        findings.append(selection_bias(check, sources, relevant, population, alpha=settings.alpha))
    return findings


def raise_leaks(findings: Sequence[Finding], *, remedy: str) -> None:
    """End in one error where a check failed.

    Args:
        findings: from :func:`check_all`.
        remedy: what to do, as the end of a sentence.

    Raises:
        InputError: names the checks, what they found and what to do.
    """
    failed = [finding for finding in findings if finding.failed]
    if failed:
        checks = "; ".join(f"{f.check}: {f.found} of {f.among}, {f.allowed:.0f} allowed ({'; '.join(f.examples[:2])})" for f in failed)
        raise InputError(f"leak: {checks}. Take them out of the data: {remedy}")


def to_markdown(findings: Sequence[Finding]) -> str:
    """All checks as a Markdown table."""
    lines = ["| check | found | among | allowed | verdict |", "|" + "---|" * 5]
    for finding in findings:
        verdict = "LEAK" if finding.failed else "clean"
        lines.append(f"| {finding.check} | {finding.found} | {finding.among} | {finding.allowed:.0f} | {verdict} |")
    return "\n".join([*lines, ""])
