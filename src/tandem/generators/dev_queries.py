"""Dev queries where nobody has judged any: written for documents that no round writes for, kept where they find their document."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ir_measures import ScoredDoc

from tandem.formats.corpus import Corpus
from tandem.generators.prompts import PromptedSettings
from tandem.generators.queries import GenerationSettings, generate_queries
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.runs import rank_results
from tandem.runtime.hardware import Compute
from tandem.settings import CountOrZero, Depth, Settings
from tandem.text import normalize_query

__all__ = ["DevQuerySettings", "HeldOut", "hold_out_queries"]

LARGEST_SHARE = 5  # at most one document in so many is held out: the others are needed to train on
PREFIX = "dev"  # of the ids of generated dev queries
Search = Callable[[Mapping[str, str]], Sequence[ScoredDoc]]


class DevQuerySettings(Settings):
    """Generated dev queries, which choose checkpoints, weights and champions where no labelled dev pair is there to do so."""

    documents: CountOrZero
    """that get one such query each, and no query to train on; at most a fifth of those that there are queries for"""
    keep_within: Depth
    """a query is kept where the untrained fusion finds its document within so many"""


@dataclass(frozen=True)
class HeldOut:
    """Dev pairs, the documents that nothing is to be trained on for their sake, and counts."""

    pairs: list[LabelledPair]
    doc_ids: list[str]
    counts: dict[str, float]


def hold_out_queries(
    documents: Sequence[Document],
    weights: Path,
    settings: DevQuerySettings,
    generation: GenerationSettings,
    prompted: PromptedSettings,
    search: Search,
    *,
    cache: Path,
    compute: Compute,
) -> HeldOut:
    """Write one query for each of some documents, as a round would, and keep those that bring their document back.

    What is never found may be no query at all, and a query that only a trained retriever can answer tells it from an untrained one. So the
    bar is low.

    Args:
        documents: the corpus.
        weights: of the generator; see :func:`tandem.generators.queries.generate_queries`.
        settings: how many, and which are kept.
        generation: where queries come from and how they are sampled, as in the rounds.
        prompted: how a document becomes a prompt.
        search: queries by id to a run of the untrained fusion, to ``keep_within`` at least.
        cache: file of completions.
        compute: where, and the seed.

    Returns:
        The pairs, and the held-out documents with all that are duplicates of them.
    """
    number = min(settings.documents, len(documents) // LARGEST_SHARE)
    if not number:
        return HeldOut([], [], {"generated": 0, "held_out_documents": 0})
    # A file may hold queries of a few documents only, and the rounds need most of these: so all are looked at before some are drawn.
    from_file = generation.backend == "file"
    one_each = generation.model_copy(update={"sampled_documents": len(documents) if from_file else number, "queries_per_document": 1})
    rows, _ = generate_queries(documents, weights, one_each, prompted, prefix=PREFIX, cache=cache, compute=compute)
    if from_file:
        rows = random.Random(f"dev queries:{compute.seed}").sample(rows, min(number, len(rows) // LARGEST_SHARE))
    corpus = Corpus.of(documents)
    groups = corpus.groups
    chosen = {groups[row.doc_id] for row in rows}
    held_out = [doc_id for doc_id in corpus.ids if groups[doc_id] in chosen]
    pairs = _keep(rows, search, within=settings.keep_within)
    return HeldOut(pairs, held_out, {"generated": len(rows), "held_out_documents": len(held_out)})


def _keep(rows: Sequence[PseudoQuery], search: Search, *, within: int) -> list[LabelledPair]:
    """The usable rows that find their document, one of each text."""
    usable = {row.query_id: row for row in rows if row.status == "generated"}
    results = rank_results(search({query_id: row.text for query_id, row in usable.items()})) if usable else {}
    kept: dict[str, LabelledPair] = {}
    for query_id, row in usable.items():
        if row.doc_id in {item.doc_id for item in results.get(query_id, [])[:within]}:
            kept.setdefault(normalize_query(row.text), LabelledPair(query_id=query_id, text=row.text, doc_id=row.doc_id))
    return list(kept.values())
