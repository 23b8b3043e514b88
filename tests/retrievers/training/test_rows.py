"""Rows of training: negatives that are none of the query's documents, mined ones first, a teacher's logits beside them."""

from __future__ import annotations

import math
import re

import pytest

from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, MinedRow
from tandem.retrievers.training.losses import false_negative_mask
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
    mined = [MinedRow(query="Order rows", pos=["sort"], neg=["join", "mean", "sort"], pos_scores=[3.0], neg_scores=[1.0, 0.5, 9.0])]
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


def test_masked_documents_are_not_drawn_and_do_not_count(corpus: list[Document]) -> None:
    """Only solve, parse and plot are left to be drawn; the loss leaves join and mean out beside the query's own document."""
    groups = Corpus.of(corpus).groups
    mined = [MinedRow(query="order rows", pos=["sort"], masked=["join", "mean"])]
    made = build_training_set(TrainingData([("order rows", "sort")], corpus, mined), rows=40, negatives=2, seed=1)
    assert made.relevant == {0: {groups["sort"], groups["join"], groups["mean"]}}
    assert {number for label in made.columns["label"] for number in label[2:]} == {groups[name] for name in ("solve", "parse", "plot")}


def test_a_masked_document_among_the_mined_is_there_for_its_teacher_alone(corpus: list[Document]) -> None:
    """It is drawn as any other, and its column is -inf in the contrastive loss."""
    groups = Corpus.of(corpus).groups
    mined = [MinedRow(query="order rows", pos=["sort"], neg=["join"], masked=["join"], pos_scores=[0.8], neg_scores=[0.7])]
    made = build_training_set(TrainingData([("order rows", "sort")], corpus, mined), rows=4, negatives=1, with_teacher=True, seed=1)
    assert [label[2:] for label in made.columns["label"]] == [[groups["join"], 0.8, 0.7]] * 4
    mask = false_negative_mask([0], [[groups["sort"], groups["join"]]], made.relevant)
    assert mask.tolist() == [[False, True]]


def test_so_many_negatives_of_the_first_ten_and_the_others_of_the_rest() -> None:
    documents = [Document(doc_id=f"d{i:02}", text=f"document {i}") for i in range(40)]
    groups = Corpus.of(documents).groups
    place = {group: int(doc_id[1:]) for doc_id, group in groups.items()}

    def places(mined: int, top: int) -> list[list[int]]:
        row = MinedRow(query="q", pos=["d00"], neg=[f"d{i:02}" for i in range(1, mined + 1)])
        data = TrainingData([("q", "d00")], documents, [row], top_negatives=top)
        labels = build_training_set(data, rows=90, negatives=5, seed=1).columns["label"]
        return [[place[int(number)] for number in label[2:]] for label in labels]

    whole = places(30, top=3)
    assert all(sum(i <= 10 for i in row) == 3 and max(row) <= 30 for row in whole)
    assert {i for row in whole for i in row} == set(range(1, 31))
    assert all(len({*row}) == 5 and sum(i <= 10 for i in row) == 4 for row in places(11, top=3))  # one is left beyond the first ten
    assert all(sum(i <= 2 for i in row) == 2 for row in places(2, top=3))  # the others are random ones of the corpus
    assert {sum(i <= 10 for i in row) for row in places(30, top=0)} > {1, 2}
