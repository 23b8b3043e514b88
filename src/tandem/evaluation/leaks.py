"""Leaks: test queries in what is trained on, dev queries used twice, documents of the test set barred or favoured.

docs/honesty.md says what each check finds and what none of them can find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ir_measures import Qrel
from scipy import stats

from tandem.formats.jsonl import InputError
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.text import find_near_duplicates

__all__ = ["Finding", "check_all", "find_queries", "raise_leaks", "selection_bias", "to_markdown"]

EXAMPLES = 5


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
    found = find_near_duplicates(held_out, texts, threshold=threshold)
    examples = tuple(f"'{texts[i]}' is '{held_out[query_id]}'" for i, query_id in list(found.items())[:EXAMPLES])
    return Finding(check, len(found), len(texts), allowed_share * len(texts), examples)


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


def check_all(
    corpus: Sequence[Document],
    train: Sequence[LabelledPair],
    dev: Sequence[LabelledPair],
    queries: Mapping[str, str],
    qrels: Sequence[Qrel],
    generated: Mapping[str, Sequence[PseudoQuery]],
    *,
    template: str,
    near_duplicate_threshold: float,
    allowed_share: float,
    alpha: float,
) -> list[Finding]:
    """Every check of docs/honesty.md.

    Args:
        corpus: all documents.
        train: labelled pairs that are trained on.
        dev: labelled pairs that choose checkpoints and champions.
        queries: test queries, text by query_id.
        qrels: their judgements.
        generated: what the generator wrote, by round.
        template: of the generator's prompts.
        near_duplicate_threshold: of :func:`tandem.text.find_near_duplicates`.
        allowed_share: of a round's queries that may be test queries by chance.
        alpha: of :func:`selection_bias`.
    """
    dev_queries = {pair.query_id: pair.text for pair in dev}
    near = {"threshold": near_duplicate_threshold}
    by_id = sorted({pair.query_id for pair in [*train, *dev]} & set(queries))
    twice = sorted({pair.query_id for pair in train} & set(dev_queries))
    findings = [
        Finding("test queries among labelled pairs, by id", len(by_id), len(train) + len(dev), 0, tuple(by_id[:EXAMPLES])),
        find_queries("test queries among training pairs, by words", queries, [pair.text for pair in train], **near),
        find_queries("test queries among dev pairs, by words", queries, list(dev_queries.values()), **near),
        find_queries("test queries in the prompt's template", queries, template.splitlines(), **near),
        Finding("dev queries among training pairs, by id", len(twice), len(train), 0, tuple(twice[:EXAMPLES])),
        find_queries("dev queries among training pairs, by words", dev_queries, [pair.text for pair in train], **near),
    ]
    population = {document.doc_id for document in corpus}
    relevant = {qrel.doc_id for qrel in qrels if qrel.relevance > 0}
    for name, rows in generated.items():
        texts = [row.text for row in rows if row.text]
        findings.append(find_queries(f"test queries among those of {name}", queries, texts, **near, allowed_share=allowed_share))
        findings.append(find_queries(f"dev queries among those of {name}", dev_queries, texts, **near, allowed_share=allowed_share))
        chosen = {row.doc_id for row in rows}
        findings.append(selection_bias(f"test documents barred or favoured in {name}", chosen, relevant, population, alpha=alpha))
    return findings


def raise_leaks(findings: Sequence[Finding]) -> None:
    """End in one error where a check failed.

    Raises:
        InputError: names the checks, what they found and what to do.
    """
    failed = [finding for finding in findings if finding.failed]
    if failed:
        told = "; ".join(f"{f.check}: {f.found} of {f.among}, {f.allowed:.0f} allowed ({'; '.join(f.examples[:2])})" for f in failed)
        raise InputError(
            f"leak: {told}. Take them out of the data: prepare_corpus.near_duplicate_queries leaves near duplicates out of the labelled "
            "pairs, an imported query file (generate_queries.file) needs cleaning; docs/honesty.md says what check_leaks' values allow"
        )


def to_markdown(findings: Sequence[Finding]) -> str:
    """All checks as a Markdown table."""
    lines = ["| check | found | among | allowed | verdict |", "|" + "---|" * 5]
    for finding in findings:
        verdict = "LEAK" if finding.failed else "clean"
        lines.append(f"| {finding.check} | {finding.found} | {finding.among} | {finding.allowed:.0f} | {verdict} |")
    return "\n".join([*lines, ""])
