"""The four ways to read a pair, and the pairs that tests score."""

from __future__ import annotations

import itertools

import pytest
from conftest import QUERIES, TEXTS

from tandem.rerankers.pair_format import PairFormat

PAIRS = [(query, text) for query, text in itertools.product(QUERIES.values(), TEXTS.values())]
DECODER = {"query_format": "query : {}", "document_format": "document : {}", "separator": " , ", "marker": " ."}
FORMS = {
    "encoder": PairFormat(kind="encoder", max_length=64),
    "similarity": PairFormat(kind="similarity", max_length=64),
    "head": PairFormat(kind="head", max_length=64, **DECODER),
    "yes_no": PairFormat(kind="yes_no", max_length=64, yes="sort", no="table", **DECODER),
}

every_kind = pytest.mark.parametrize("reranker", list(FORMS), indirect=True)
