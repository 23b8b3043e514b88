"""The contrastive loss of a query under a frozen retriever, against random and BM25 negatives, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from tandem.formats.corpus import Corpus
from tandem.interfaces import Retriever, Searcher
from tandem.records import Document, PseudoQuery
from tandem.retrievers.retriever import vectors_of
from tandem.runs import rank_results
from tandem.settings import CountOrZero, PositiveTemperature, Settings

__all__ = ["QueryLoss", "QueryLossSettings"]

DRAWS = 2  # of negatives, averaged: one draw alone is mostly noise
WINDOW = (30, 200)  # ranks of BM25 that half of the negatives come from
CHUNK = 256  # rows at once
KEPT = 10_000  # documents whose vectors are kept for the next rows, 0.7 GB at 128 tokens of 128 dimensions


class QueryLossSettings(Settings):
    """The contrastive loss of a query under a frozen retriever."""

    negatives: CountOrZero
    """half of them random, half from ranks 30 to 200 of BM25"""
    temperature: PositiveTemperature
    """that scores are divided by: 1 for MaxSim, 0.05 for a cosine"""


class QueryLoss:
    """``l = -log( exp(s(q, d)/t) / (exp(s(q, d)/t) + sum_j exp(s(q, d_j)/t)) )`` of a frozen retriever (iGFT, equation 7).

    Half of the negatives are random, half come from ranks 30 to 200 of BM25; near duplicates of the document are none.

    Args:
        model: the retriever.
        bm25: the index that negatives are searched in.
        corpus: the documents.
        settings: how many negatives (j = 1 to this many) and t.
        seed: of the draws, which depend on it and on the query_id alone.
    """

    def __init__(self, model: Retriever, bm25: Searcher, corpus: Sequence[Document], settings: QueryLossSettings, *, seed: int) -> None:
        self.model, self.bm25, self.settings, self.seed = model, bm25, settings, seed
        documents = Corpus.of(corpus)
        self.texts, self.groups = documents.texts, documents.groups
        self.doc_ids = list(self.texts)
        self.known: dict[str, Tensor] = {}

    def losses(self, rows: Sequence[PseudoQuery]) -> list[float]:
        """The loss of each row, the mean of two draws of negatives."""
        if not rows:
            return []
        run = self.bm25.search({row.query_id: row.text for row in rows}, depth=min(WINDOW[1], len(self.texts)))
        ranked = {query_id: [item.doc_id for item in items] for query_id, items in rank_results(run).items()}
        values = []
        for start in tqdm(range(0, len(rows), CHUNK), desc="losses", disable=len(rows) < 4 * CHUNK, leave=False):
            values += self._losses(rows[start : start + CHUNK], ranked)
        return values

    def vectors(self, rows: Sequence[PseudoQuery]) -> tuple[list[Tensor], list[Tensor]]:
        """Token vectors of each row's query and of its document."""
        encoded = self._encode_documents({row.doc_id for row in rows})
        return vectors_of(self.model, [row.text for row in rows], task="query"), [encoded[row.doc_id] for row in rows]

    def _losses(self, rows: Sequence[PseudoQuery], ranked: Mapping[str, Sequence[str]]) -> list[float]:
        draws = [[self._draw(row, ranked.get(row.query_id, ()), draw) for draw in range(DRAWS)] for row in rows]
        needed = {doc_id for row_draws in draws for negatives in row_draws for doc_id in negatives}
        encoded = self._encode_documents({row.doc_id for row in rows} | needed)
        queries, losses = vectors_of(self.model, [row.text for row in rows], task="query"), []
        for row, query, row_draws in zip(rows, queries, draws, strict=True):
            values = []
            for negatives in row_draws:
                products = [(query @ encoded[doc_id].T).amax(1).sum() for doc_id in (row.doc_id, *negatives)]
                scores = torch.stack(products) / self.settings.temperature
                values.append(float(torch.logsumexp(scores, 0) - scores[0]))
            losses.append(sum(values) / len(values))
        return losses

    def _encode_documents(self, doc_ids: set[str]) -> dict[str, Tensor]:
        missing = sorted(doc_ids - self.known.keys())
        vectors = vectors_of(self.model, [self.texts[doc_id] for doc_id in missing], task="document")
        encoded = dict(zip(missing, vectors, strict=True))
        everything = {**encoded, **{doc_id: self.known[doc_id] for doc_id in doc_ids if doc_id in self.known}}
        room = KEPT - len(self.known)
        self.known.update(list(encoded.items())[: max(room, 0)])
        return everything

    def _draw(self, row: PseudoQuery, ranked: Sequence[str], draw: int) -> list[str]:
        """Doc_ids of a row's negatives: half of the window of BM25's ranks, the rest from the whole corpus."""
        rng = random.Random(f"loss:{self.seed}:{row.query_id}:{draw}")
        number, group = self.settings.negatives, self.groups[row.doc_id]
        window = [doc_id for doc_id in ranked[WINDOW[0] - 1 : WINDOW[1]] if self.groups[doc_id] != group]
        hard = rng.sample(window, min(number // 2, len(window)))
        others = [doc_id for doc_id in rng.sample(self.doc_ids, min(2 * number + 8, len(self.doc_ids))) if doc_id not in hard]
        return [*hard, *[doc_id for doc_id in others if self.groups[doc_id] != group][: number - len(hard)]]
