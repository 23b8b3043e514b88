"""One definition of the same query, case and white space folded and nothing else: signs part queries, ids do not."""

from __future__ import annotations

import json
from pathlib import Path

from tandem.corpora.collection import without_test_queries
from tandem.corpora.few_shot import BudgetSettings, sample_pairs
from tandem.corpora.files import load_pairs
from tandem.filters.round_trip import apply_shape_rule
from tandem.generators.queries import mark_unusable
from tandem.generators.requests import Request
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.training.rows import TrainingData, build_training_set
from tandem.text import find_near_duplicates, normalize_query

SIGNS = ["C++ sort", "C# sort", "C sort", "???", "!!!"]


def test_signs_make_queries_differ(tmp_path: Path) -> None:
    assert len({normalize_query(text) for text in SIGNS}) == 5
    assert normalize_query(" C++\tSORT ") == "c++ sort"
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"query": text, "doc_id": "d"}) + "\n" for text in [*SIGNS, "c++  SORT"]))
    pairs, _ = load_pairs(path, {"d"})
    assert len({pair.query_id for pair in pairs}) == len(pairs) == 5
    rows = [PseudoQuery(query_id=f"{i}", text=text, doc_id="d") for i, text in enumerate([*SIGNS, "c++  SORT"])]
    assert [row.reason for row in apply_shape_rule(rows, min_words=1, max_words=9)] == [""] * 5 + ["duplicate"]
    written = mark_unusable([Request(row.query_id, "d", "") for row in rows], [row.text for row in rows])
    assert [row.reason for row in written] == [""] * 5 + ["duplicate"]


def test_labels_are_not_merged() -> None:
    texts = {"cpp": "about c++", "cs": "about c#", "other": "about rust"}
    corpus = [Document(doc_id=doc_id, text=text) for doc_id, text in texts.items()]
    rows = build_training_set(TrainingData([("C++ sort", "cpp"), ("C# sort", "cs")], corpus), rows=2, negatives=1, seed=1)
    assert sorted(map(len, rows.relevant.values())) == [1, 1]


def test_a_test_query_with_other_signs_stays_in_training_unless_near_duplicates_are_barred() -> None:
    test = [LabelledPair(query_id="t", text="C++ sort", doc_id="d")]
    train = [LabelledPair(query_id="a", text="C# sort", doc_id="d"), LabelledPair(query_id="b", text="c++ SORT", doc_id="e")]
    assert [pair.query_id for pair in without_test_queries(train, test)] == ["a"]
    assert without_test_queries(train, test, threshold=0.9) == []  # the words c and sort are the same: looser, and it only bars


def test_queries_of_signs_alone_are_no_near_duplicates_of_each_other() -> None:
    assert find_near_duplicates({"t": "???"}, ["!!!", "???"], threshold=0.5) == {1: "t"}


def test_one_text_under_two_ids_is_on_one_side_of_the_dev_split() -> None:
    pairs = [
        LabelledPair(query_id=f"q{i}{side}", text=f"Query {i}" if side == "a" else f"query  {i}", doc_id=f"d{i}{side}")
        for i in range(20)
        for side in "ab"
    ]
    for seed in range(5):
        train, dev = sample_pairs(pairs, BudgetSettings(pairs=40, dev_share=0.4, seed=seed))
        assert len(train) + len(dev) == 40
        assert not {normalize_query(pair.text) for pair in train} & {normalize_query(pair.text) for pair in dev}
    joined = [
        LabelledPair(query_id="a", text="one", doc_id="1"),
        LabelledPair(query_id="b", text="ONE", doc_id="2"),
        LabelledPair(query_id="b", text="two", doc_id="3"),
        LabelledPair(query_id="c", text="Two", doc_id="4"),
        LabelledPair(query_id="z", text="else", doc_id="5"),
    ]
    for seed in range(5):
        train, dev = sample_pairs(joined, BudgetSettings(pairs=5, dev_share=0.5, seed=seed))
        assert {len(train), len(dev)} == {4, 1}
