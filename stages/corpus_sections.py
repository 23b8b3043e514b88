"""Values of a collection: where its documents and judgements come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tandem.settings import Count, PositiveShare, Seed, Settings, Share

__all__ = ["CorpusParams"]


class CorpusParams(Settings):
    """Where the documents come from."""

    source: Literal["python_api", "beir", "files", "none"]
    """python_api: docstrings of installed packages; beir: a BEIR folder or name; files: your own documents; none: no collection"""
    packages: list[str] = Field(default_factory=list)
    """python_api: names of installed packages"""
    documents: Count = 1500
    """python_api: how many to draw"""
    test_queries: Count = 300
    """python_api: of the drawn documents' queries, how many to measure with"""
    path: str = ""
    """beir, files: folder or file"""
    name: str = ""
    """beir: name of a published data set, downloaded where path is empty"""
    test_split: str = "test"
    """beir: the qrels to measure with"""
    pairs: str = ""
    """files: JSONL or CSV of labelled pairs (query, doc_id); may be empty"""
    test_share: Share = 0.5
    """files: share of the labelled queries to measure with"""
    near_duplicate_threshold: PositiveShare = 0.8
    """Jaccard similarity from which two documents are near duplicates"""
    near_duplicate_queries: PositiveShare | None = None
    """similarity of words from which a training query that is nearly a test query is left out too; null leaves it in"""
    seed: Seed
