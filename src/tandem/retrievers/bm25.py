"""BM25 over a full corpus (bm25s), and over the candidate sets of the iGFT paper (rank_bm25)."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import bm25s
import orjson
from ir_measures import ScoredDoc
from pydantic import Field
from rank_bm25 import BM25Okapi
from tqdm import tqdm

from tandem.runs import search_depth, without_own
from tandem.settings import Settings
from tandem.text import Language, split_words, stem_words, stop_words

__all__ = ["BM25Index", "BM25Settings", "CandidateIndex", "LexicalSettings", "search", "search_candidates"]

MANIFEST = "terms.json"
MINIMUM = 2  # characters of a term, as bm25s has it; pairs of characters in scripts without spaces


class BM25Settings(Settings):
    """How BM25 reads and weighs text, wherever it is used: baseline, filters, rewards, hard negatives, candidates."""

    k1: float = Field(default=0.9, ge=0, le=10, allow_inf_nan=False)
    """term frequency saturation"""
    b: float = Field(default=0.4, ge=0, le=1, allow_inf_nan=False)
    """length normalisation"""
    stop_words: bool = True
    """leave the language's stop words out"""
    stemming: bool = True
    """Snowball stems of the language"""

    def terms(self, text: str, language: Language) -> list[str]:
        """What a text is indexed and searched by."""
        words = split_words(text, minimum=MINIMUM)
        if self.stop_words:
            left_out = stop_words(language)
            words = [word for word in words if word not in left_out]
        return stem_words(words, language) if self.stemming else words


class BM25Index:
    """Lucene's BM25 over a corpus, built once for many searches.

    A corpus without a single term (stop words alone, say) can be searched, and finds nothing.

    Args:
        documents: text by doc_id.
        settings: of terms and weights.
        language: of the documents.
    """

    def __init__(self, documents: Mapping[str, str], settings: BM25Settings | None = None, *, language: Language = "english") -> None:
        self.doc_ids, self.settings, self.language = list(documents), settings or BM25Settings(), language
        self.known = frozenset(self.doc_ids)
        self.index = bm25s.BM25(k1=self.settings.k1, b=self.settings.b, method="lucene")
        terms = _terms(documents, self.settings, language)
        self.empty = not any(terms)
        if not self.empty:
            self.index.index(terms, show_progress=False)

    def search(self, queries: Mapping[str, str], *, depth: int = 100) -> list[ScoredDoc]:
        """Rank the corpus for each query, given as text by query_id; documents that share no term with a query are left out.

        So is the document that has the query's id.
        """
        if self.empty:
            return []
        known: dict[str, list[str]] = {}
        for query_id, text in queries.items():
            # bm25s cannot search for a query of which it knows no term.
            if terms := [term for term in self.settings.terms(text, self.language) if term in self.index.vocab_dict]:
                known[query_id] = terms
        if not known:
            return []
        k = min(search_depth(known, self.known, depth), len(self.doc_ids))
        found, scores = self.index.retrieve(list(known.values()), k=k, show_progress=len(known) > 5000)
        run = (
            ScoredDoc(query_id, self.doc_ids[int(i)], float(score))
            for query_id, row, row_scores in zip(known, found, scores, strict=True)
            for i, score in zip(row, row_scores, strict=True)
            if score > 0
        )
        return without_own(run, depth=depth)

    def save(self, folder: Path) -> None:
        """Write the index to a folder, whole or not at all; the same documents and settings give the same bytes."""
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        if not self.empty:
            self.index.save(draft, show_progress=False)
        about = {"bm25": self.settings.model_dump(), "language": self.language, "empty": self.empty, "doc_ids": self.doc_ids}
        (draft / MANIFEST).write_bytes(orjson.dumps(about))
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)

    @staticmethod
    def is_saved(folder: Path) -> bool:
        """Whether a folder holds such an index."""
        return (folder / MANIFEST).is_file()

    @classmethod
    def load(cls, folder: Path) -> BM25Index:
        """Read an index from its folder.

        Raises:
            FileNotFoundError: there is none.
        """
        if not cls.is_saved(folder):
            raise FileNotFoundError(f"{folder}: no BM25 index in it; `dvc repro` (stage index_bm25) makes one")
        about = orjson.loads((folder / MANIFEST).read_bytes())
        self = cls.__new__(cls)
        self.doc_ids, self.settings, self.language = about["doc_ids"], BM25Settings(**about["bm25"]), about["language"]
        self.known, self.empty = frozenset(self.doc_ids), about["empty"]
        self.index = bm25s.BM25(k1=self.settings.k1, b=self.settings.b, method="lucene")
        if not self.empty:
            self.index = bm25s.BM25.load(folder, load_corpus=False)
        return self


class LexicalSettings(Settings):
    """How words are read and weighed, the same wherever BM25 is."""

    bm25: BM25Settings
    language: Language
    """of documents and queries: its stop words and stems"""

    def index(self, documents: Mapping[str, str]) -> BM25Index:
        """The index of a corpus, text by doc_id."""
        return BM25Index(documents, self.bm25, language=self.language)


def _terms(documents: Mapping[str, str], settings: BM25Settings, language: Language) -> list[list[str]]:
    texts = tqdm(documents.values(), desc="BM25 terms", total=len(documents), disable=len(documents) < 20_000, leave=False)
    return [settings.terms(text, language) for text in texts]


def search(
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    *,
    depth: int,
    settings: BM25Settings | None = None,
    language: Language = "english",
) -> list[ScoredDoc]:
    """Rank the whole corpus for each query; see :class:`BM25Index`."""
    return BM25Index(documents, settings, language=language).search(queries, depth=depth)


class CandidateIndex:
    """BM25 Okapi over a corpus, built once, that ranks each query's source document among randomly drawn others: iGFT section 4.2.1.

    IDF and the mean length are those of the whole corpus (the released code estimates them on the few candidates). The draw
    depends on the seed and the query's id alone, and never holds the source document. A document with the query's id is no result.

    Args:
        documents: text by doc_id.
        settings: of terms and weights.
        language: of the documents.
    """

    def __init__(self, documents: Mapping[str, str], settings: BM25Settings | None = None, *, language: Language = "english") -> None:
        self.doc_ids, self.settings, self.language = list(documents), settings or BM25Settings(), language
        self.position = {doc_id: i for i, doc_id in enumerate(self.doc_ids)}
        corpus = _terms(documents, self.settings, language)
        # rank_bm25 divides by the mean length, which must not be zero
        self.index = BM25Okapi(corpus, k1=self.settings.k1, b=self.settings.b) if any(corpus) else None

    def search(self, queries: Mapping[str, tuple[str, str]], *, candidates: int, seed: int) -> list[ScoredDoc]:
        """Score each query's source document and those drawn for it.

        Args:
            queries: (text, doc_id of its source document) by query_id.
            candidates: other documents a query (the paper's m, 100).
            seed: of the draw.
        """
        if self.index is None:
            return []
        run = []
        others = len(self.doc_ids) - 1
        for query_id, (text, doc_id) in tqdm(queries.items(), desc="BM25 candidates", leave=False, mininterval=1.0):
            source = self.position[doc_id]
            drawn = random.Random(f"candidates:{seed}:{query_id}").sample(range(others), min(candidates, others))
            chosen = [i for i in (source, *(i + (i >= source) for i in drawn)) if self.doc_ids[i] != query_id]
            scores = self.index.get_batch_scores(self.settings.terms(text, self.language), chosen)
            run += [ScoredDoc(query_id, self.doc_ids[i], float(s)) for i, s in zip(chosen, scores, strict=True)]
        return run


def search_candidates(
    documents: Mapping[str, str],
    queries: Mapping[str, tuple[str, str]],
    *,
    candidates: int,
    seed: int,
    settings: BM25Settings | None = None,
    language: Language = "english",
) -> list[ScoredDoc]:
    """Rank each query's source document among randomly drawn others, once; see :class:`CandidateIndex`."""
    return CandidateIndex(documents, settings, language=language).search(queries, candidates=candidates, seed=seed)
