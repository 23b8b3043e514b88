"""A reranker as its users see it: scores of pairs, a list of documents in order, a run rescored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from ir_measures import ScoredDoc
from sentence_transformers import CrossEncoder
from torch.nn import Identity
from tqdm import tqdm

from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.pair_scorer import INSTEAD, PairScorer, load_scorer
from tandem.runs import rank_results, without_own
from tandem.runtime.encoders import resolve_encoder

__all__ = ["UNTRAINED", "Ranked", "Reranker"]

UNTRAINED = "untrained"  # a file beside the weights of a model that had nothing to learn from


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document in its place; ``rank`` counts from 1."""

    doc_id: str
    score: float
    rank: int


class Reranker:
    """Scores (query, document) pairs with a cross-encoder.

    Args:
        name: folder that :meth:`save` wrote, or any model together with ``form``.
        form: of the input, where the folder has none.
        layers: keep an encoder's first layers only.
        device: to run on.
        bf16: score under bfloat16 autocast.
        new_head: the model may have no head yet, for it is about to be trained.
        seed: of a head that the model does not have yet.

    Raises:
        ValueError: it was never trained, for it has no head or had no rows to learn from.
    """

    def __init__(
        self,
        name: str,
        form: PairFormat | None = None,
        *,
        layers: int | None = None,
        device: str = "cpu",
        bf16: bool = False,
        new_head: bool = False,
        seed: int = 0,
    ) -> None:
        if (Path(name) / UNTRAINED).exists() and not new_head:
            raise ValueError(f"{name}: there were no rows to train this reranker on, so its scores mean nothing; {INSTEAD}")
        scorer = load_scorer(resolve_encoder(name), form, layers=layers, new_head=new_head, seed=seed)
        self.model = CrossEncoder(modules=[scorer], device=device, activation_fn=Identity())
        self.bf16 = bf16

    @property
    def scorer(self) -> PairScorer:
        """The one module of the model."""
        module: PairScorer = self.model[0]
        return module

    def save(self, folder: Path, *, trained: bool = True) -> None:
        """Write weights, tokenizer and format, so that the folder's name is all that loading needs; and that it is not trained."""
        self.scorer.save(str(folder))
        if not trained:
            (folder / UNTRAINED).write_text("there were no rows to train on\n", encoding="utf8")

    def compute_score(self, pairs: Sequence[tuple[str, str]], *, batch_size: int = 32, normalize: bool = False) -> list[float]:
        """One score a pair, in the order of the pairs; always a list.

        Args:
            pairs: (query, document).
            batch_size: pairs at once; pairs of like length go together.
            normalize: through the sigmoid, to 0 to 1; else raw logits.
        """
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        scores = [0.0] * len(pairs)
        self.model.eval()
        device = self.model.device
        for start in tqdm(range(0, len(order), batch_size), desc="scoring pairs", mininterval=1.0, disable=len(order) < 20 * batch_size):
            batch = order[start : start + batch_size]
            features = self.scorer.preprocess([pairs[i] for i in batch])
            with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bf16):
                logits = self.scorer({key: value.to(device) for key, value in features.items()})["scores"].float().squeeze(1)
            values = torch.sigmoid(logits) if normalize else logits
            for i, value in zip(batch, values.tolist(), strict=True):
                scores[i] = value
        return scores

    def rerank(
        self,
        query: str,
        documents: Mapping[str, str] | Sequence[str],
        *,
        window_words: int | None = None,
        overlap_words: int = 40,
        batch_size: int = 32,
    ) -> list[Ranked]:
        """The documents of a query, best first, under the caller's ids; equal scores keep the order they came in.

        Args:
            query: text.
            documents: text by id, or texts whose ids are their positions; empty texts are ranked like any other.
            window_words: score a longer document as its best window of so many words; None cuts it at the model's length.
            overlap_words: of neighbouring windows.
            batch_size: pairs at once.
        """
        texts = dict(documents) if isinstance(documents, Mapping) else {str(i): text for i, text in enumerate(documents)}
        windows = [(doc_id, window) for doc_id, text in texts.items() for window in _windows(text, window_words, overlap_words)]
        scores = self.compute_score([(query, window) for _, window in windows], batch_size=batch_size)
        best: dict[str, float] = {}
        for (doc_id, _), score in zip(windows, scores, strict=True):
            best[doc_id] = max(score, best.get(doc_id, float("-inf")))
        # Equal scores keep the caller's order; a score that is no number comes last.
        order = sorted(best, key=lambda doc_id: math.inf if math.isnan(best[doc_id]) else -best[doc_id])
        return [Ranked(doc_id, best[doc_id], rank) for rank, doc_id in enumerate(order, start=1)]

    def rerank_run(
        self, run: Sequence[ScoredDoc], queries: Mapping[str, str], documents: Mapping[str, str], *, depth: int, batch_size: int = 32
    ) -> list[ScoredDoc]:
        """A run with the first ``depth`` documents of each query rescored, and no others; nor the document that has the query's id.

        Args:
            run: any; the order is that of its scores.
            queries: text by query_id.
            documents: text by doc_id.
            depth: documents a query.
            batch_size: pairs at once.
        """
        ranked = (item for items in rank_results(run).values() for item in items)
        first = without_own(ranked, depth=depth)
        scores = self.compute_score([(queries[item.query_id], documents[item.doc_id]) for item in first], batch_size=batch_size)
        return [ScoredDoc(item.query_id, item.doc_id, score) for item, score in zip(first, scores, strict=True)]


def _windows(text: str, size: int | None, overlap: int) -> list[str]:
    words = text.split()
    if size is None or len(words) <= size:
        return [text]
    if not 0 <= overlap < size:
        raise ValueError(f"overlap_words: {overlap} found, 0 to {size - 1} allowed with windows of {size}")
    starts = range(0, max(len(words) - overlap, 1), size - overlap)
    return [" ".join(words[start : start + size]) for start in starts]
