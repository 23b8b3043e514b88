"""BM25 over a full corpus (bm25s), and over the candidate sets of the iGFT paper (rank_bm25)."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import bm25s
from ir_measures import ScoredDoc
from rank_bm25 import BM25Okapi
from tqdm import tqdm

__all__ = ["Index", "search", "search_candidates", "tokenise"]

WORD = re.compile(r"(?u)\b\w\w+\b")


class Index:
    """Lucene's BM25 over a corpus, built once for many searches.

    Args:
        documents: text by doc_id.
        k1: term frequency saturation.
        b: length normalisation.
        stop_words: a bm25s stop word list, or empty for none.
    """

    def __init__(self, documents: Mapping[str, str], *, k1: float = 0.9, b: float = 0.4, stop_words: str = "english") -> None:
        self.doc_ids, self.stop = list(documents), stop_words or None
        self.index = bm25s.BM25(k1=k1, b=b, method="lucene")
        self.index.index(bm25s.tokenize(documents.values(), stopwords=self.stop, show_progress=False), show_progress=False)

    def search(self, queries: Mapping[str, str], *, depth: int = 100) -> list[ScoredDoc]:
        """Rank the corpus for each query, given as text by query_id; documents that share no word with a query are left out."""
        if not queries:
            return []
        tokens = bm25s.tokenize(list(queries.values()), stopwords=self.stop, show_progress=False, return_ids=False)
        # bm25s cannot search for a query of which it knows no word.
        known = {i: [w for w in words if w in self.index.vocab_dict] for i, words in zip(queries, tokens, strict=True)}
        known = {query_id: words for query_id, words in known.items() if words}
        if not known:
            return []
        k = min(depth, len(self.doc_ids))
        found, scores = self.index.retrieve(list(known.values()), k=k, show_progress=len(known) > 5000)
        return [
            ScoredDoc(query_id, self.doc_ids[int(i)], float(score))
            for query_id, row, row_scores in zip(known, found, scores, strict=True)
            for i, score in zip(row, row_scores, strict=True)
            if score > 0
        ]


def search(documents: Mapping[str, str], queries: Mapping[str, str], *, depth: int, **settings: Any) -> list[ScoredDoc]:
    """Rank the whole corpus for each query; see :class:`Index` for ``settings``."""
    return Index(documents, **settings).search(queries, depth=depth)


def tokenise(text: str) -> list[str]:
    """Lower-case words of two characters or more, as bm25s splits them."""
    return WORD.findall(text.lower())


def search_candidates(
    documents: Mapping[str, str],
    queries: Mapping[str, tuple[str, str]],
    *,
    candidates: int,
    seed: int,
    k1: float = 1.5,
    b: float = 0.75,
) -> list[ScoredDoc]:
    """Rank each query's own document among randomly drawn others: the filter of iGFT section 4.2.1.

    IDF and the mean length are those of the whole corpus (the released code estimates them on the few candidates). The draw
    depends on the seed and the query's id alone, and never holds the query's own document.

    Args:
        documents: text by doc_id.
        queries: (text, doc_id of its own document) by query_id.
        candidates: other documents a query (the paper's m, 100).
        seed: of the draw.
        k1: as in BM25 Okapi.
        b: as in BM25 Okapi.
    """
    doc_ids = list(documents)
    position = {doc_id: i for i, doc_id in enumerate(doc_ids)}
    index = BM25Okapi([tokenise(text) for text in documents.values()], k1=k1, b=b)
    run = []
    for query_id, (text, doc_id) in tqdm(queries.items(), desc="BM25 candidates", leave=False, mininterval=1.0):
        own = position[doc_id]
        rng = random.Random(f"candidates:{seed}:{query_id}")
        drawn = rng.sample(range(len(doc_ids) - 1), min(candidates, len(doc_ids) - 1))
        chosen = [own, *(i + (i >= own) for i in drawn)]
        scores = index.get_batch_scores(tokenise(text), chosen)
        run += [ScoredDoc(query_id, doc_ids[i], float(s)) for i, s in zip(chosen, scores, strict=True)]
    return run
