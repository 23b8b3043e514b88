"""Retrievers that need no training, which every round is compared with: BM25, an untouched dense encoder, an untouched ColBERT."""

from __future__ import annotations

from tandem.interfaces import Retriever
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.dense import build_dense, load_dense
from tandem.retrievers.retriever import Lexical
from tandem.retrievers.settings import RetrieverSettings
from tandem.settings import Settings, Tokens, errors_about

__all__ = ["BaselineSettings", "build_baselines"]


class BaselineSettings(Settings):
    """What the baselines do not share with the rounds' retriever."""

    dense_max_length: Tokens
    """texts of the dense baseline, a whole encoder, are cut here; where the rounds start from a dense encoder, that is the baseline"""


def build_baselines(bm25: Lexical, settings: BaselineSettings, start: RetrieverSettings, *, seed: int, device: str) -> dict[str, Retriever]:
    """The three baselines by name: ``bm25``, ``dense`` and ``colbert``.

    Args:
        bm25: the lexical one.
        settings: of the dense one, which is a whole encoder: cut to its first layers it is no baseline (docs/findings.md).
        start: the retriever that every round starts from: the dense baseline where it is dense; as a ColBERT it is the third.
        seed: of the ColBERT's projection.
        device: to put the models on.
    """
    if start.kind == "dense":  # what every round starts from, cut as they cut it
        dense = build_dense(start, device=device)
    else:
        with errors_about(settings):
            dense = load_dense(
                start.encoder, max_length=settings.dense_max_length, length_key="dense_max_length", prompts=start.prompts, device=device
            )
    return {"bm25": bm25, "dense": dense, "colbert": build_colbert(start, seed=seed, device=device, dense_head=False)}
