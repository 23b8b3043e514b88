"""Rows of training: negatives that are none of the query's documents, mined ones first, a teacher's logits beside them."""

from __future__ import annotations

import math
import re

import pytest

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, RankingRow
from tandem.retrievers.training.rows import TrainingData, build_training_set
from tandem.settings import SettingError


def training_pairs(pairs: list[LabelledPair]) -> list[tuple[str, str]]:
    return [(pair.text, pair.doc_id) for pair in pairs]


def test_training_rows(corpus: list[Document], pairs: list[LabelledPair]) -> None:
    duplicate = Document(doc_id="sort2", text="Sort rows!", group="sort")
    documents = [corpus[0].model_copy(update={"group": "sort"}), *corpus[1:], duplicate]
    groups = Corpus.of(documents).groups
    assert groups["sort"] == groups["sort2"] != groups["mean"]
    rows = build_training_set(TrainingData(training_pairs(pairs), documents), rows=60, negatives=2, seed=1)
    assert len(rows.columns["query"]) == 60
    assert rows.epochs == 10
    by_text = {document.text: document.doc_id for document in documents}
    negatives = [rows.columns[f"negative_{i}"] for i in (1, 2)]
    for i, query in enumerate(rows.columns["query"]):
        positive = next(pair.doc_id for pair in pairs if pair.text == query)
        drawn = {groups[by_text[str(column[i])]] for column in negatives}
        assert groups[positive] not in drawn
        assert len(drawn) == 2 or drawn == {groups["sort"]}
    first, second = ([str(x) for x in column] for column in (rows.columns["query"][:6], rows.columns["query"][6:12]))
    assert sorted(first) == sorted(second)
    assert first != second
    with pytest.raises(ValueError, match="no pair to train on"):
        build_training_set(TrainingData([], documents), rows=1, negatives=0, seed=1)
    with pytest.raises(SettingError, match=re.escape("negatives: 7 found, the corpus has not so many other documents; set fewer, or 0")):
        build_training_set(TrainingData(training_pairs(pairs), documents), rows=1, negatives=7, seed=1)


def test_training_draws_mined_negatives_first_and_anew(corpus: list[Document]) -> None:
    groups = Corpus.of(corpus).groups
    mined = [RankingRow(query="Order rows", pos=["sort"], neg=["join", "mean", "sort"], pos_scores=[3.0], neg_scores=[1.0, 0.5, 9.0])]
    data = TrainingData([("order  rows", "sort")], corpus, mined)
    two = build_training_set(data, rows=30, negatives=2, with_teacher=True, seed=1)
    drawn = {tuple(label[2:4]) for label in two.columns["label"]}
    assert drawn == {(groups["join"], groups["mean"]), (groups["mean"], groups["join"])}
    for label in two.columns["label"]:
        assert label[4] == 3.0
        assert label[5:] == [{groups["join"]: 1.0, groups["mean"]: 0.5}[number] for number in label[2:4]]
    three = build_training_set(data, rows=30, negatives=3, with_teacher=True, seed=1)
    assert all({groups["join"], groups["mean"]} < set(label[2:5]) and math.isnan(label[8]) for label in three.columns["label"])
    plain = build_training_set(data, rows=30, negatives=2, seed=1)
    assert {len(label) for label in plain.columns["label"]} == {4}
