"""What a retriever loses on a query: its contrastive loss against random and BM25 negatives, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from tandem.formats.texts import texts_of
from tandem.records import Document, PseudoQuery, group_numbers
from tandem.retrievers.bm25 import BM25Index, BM25Settings
from tandem.retrievers.retriever import vectors_of
from tandem.runs import rank_results
from tandem.text import Language

__all__ = ["QueryLoss"]

DRAWS = 2  # of negatives, averaged: one draw alone is mostly noise
WINDOW = (30, 200)  # ranks of BM25 that half of the negatives come from
CHUNK = 256  # rows at once
KEPT = 10_000  # documents whose vectors are kept for the next rows, 0.7 GB at 128 tokens of 128 dimensions


class QueryLoss:
    """``l = -log( exp(s(q, d)/t) / (exp(s(q, d)/t) + sum_j exp(s(q, d_j)/t)) )`` of a frozen retriever (iGFT, equation 7).

    Half of the negatives are random, half come from ranks 30 to 200 of BM25; near duplicates of the document are none.

    Args:
        model: the retriever.
        corpus: the documents.
        negatives: j = 1 to this many.
        temperature: t; 1 for MaxSim, .05 for a cosine.
        bm25: of the negatives' run.
        language: of the documents.
        seed: of the draws, which depend on it and on the query_id alone.
    """

    def __init__(
        self,
        model: Any,
        corpus: Sequence[Document],
        *,
        negatives: int,
        temperature: float,
        bm25: BM25Settings | None = None,
        language: Language = "english",
        seed: int,
    ) -> None:
        self.model, self.negatives, self.temperature, self.seed = model, negatives, temperature, seed
        self.texts, self.groups = texts_of(corpus), group_numbers(corpus)
        self.doc_ids = list(self.texts)
        self.bm25, self.language = bm25, language
        self.index: BM25Index | None = None  # built when it is first asked for
        self.known: dict[str, Tensor] = {}

    def losses(self, rows: Sequence[PseudoQuery]) -> list[float]:
        """The loss of each row, the mean of two draws of negatives."""
        if not rows:
            return []
        self.index = self.index or BM25Index(self.texts, self.bm25, language=self.language)
        run = self.index.search({row.query_id: row.text for row in rows}, depth=min(WINDOW[1], len(self.texts)))
        ranked = {query_id: [item.doc_id for item in items] for query_id, items in rank_results(run).items()}
        values = []
        for start in tqdm(range(0, len(rows), CHUNK), desc="losses", disable=len(rows) < 4 * CHUNK, leave=False):
            values += self._losses(rows[start : start + CHUNK], ranked)
        return values

    def vectors(self, rows: Sequence[PseudoQuery]) -> tuple[list[Tensor], list[Tensor]]:
        """Token vectors of each row's query and of its document."""
        encoded = self._encode({row.doc_id for row in rows})
        return vectors_of(self.model, [row.text for row in rows], task="query"), [encoded[row.doc_id] for row in rows]

    def _losses(self, rows: Sequence[PseudoQuery], ranked: Mapping[str, Sequence[str]]) -> list[float]:
        draws = [[self._draw(row, ranked.get(row.query_id, ()), draw) for draw in range(DRAWS)] for row in rows]
        encoded = self._encode({row.doc_id for row in rows} | {doc_id for own in draws for part in own for doc_id in part})
        values = []
        for row, query, own in zip(rows, vectors_of(self.model, [row.text for row in rows], task="query"), draws, strict=True):
            found = []
            for part in own:
                scores = torch.stack([(query @ encoded[doc_id].T).amax(1).sum() for doc_id in (row.doc_id, *part)]) / self.temperature
                found.append(float(torch.logsumexp(scores, 0) - scores[0]))
            values.append(sum(found) / len(found))
        return values

    def _encode(self, doc_ids: set[str]) -> dict[str, Tensor]:
        new = sorted(doc_ids - self.known.keys())
        found = dict(zip(new, vectors_of(self.model, [self.texts[doc_id] for doc_id in new], task="document"), strict=True))
        encoded = {**found, **{doc_id: self.known[doc_id] for doc_id in doc_ids if doc_id in self.known}}
        room = KEPT - len(self.known)
        self.known.update(list(found.items())[: max(room, 0)])
        return encoded

    def _draw(self, row: PseudoQuery, ranked: Sequence[str], draw: int) -> list[str]:
        rng = random.Random(f"loss:{self.seed}:{row.query_id}:{draw}")
        own = self.groups[row.doc_id]
        window = [doc_id for doc_id in ranked[WINDOW[0] - 1 : WINDOW[1]] if self.groups[doc_id] != own]
        drawn = rng.sample(window, min(self.negatives // 2, len(window)))
        others = [doc_id for doc_id in rng.sample(self.doc_ids, min(2 * self.negatives + 8, len(self.doc_ids))) if doc_id not in drawn]
        return [*drawn, *[doc_id for doc_id in others if self.groups[doc_id] != own][: self.negatives - len(drawn)]]
