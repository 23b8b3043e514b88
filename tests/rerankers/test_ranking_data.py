"""Training data of rerankers: labels of three kinds, bad lines, leaks, groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import QUERIES

from tandem.formats.jsonl import InputError, write_records
from tandem.records import RankingRow
from tandem.rerankers.ranking_data import check_leakage, label_documents, read_ranking, sample_groups


def test_labels_of_three_kinds() -> None:
    binary = label_documents(RankingRow(query="q", pos=["a"], neg=["b"]))
    assert binary == ("q", [("a", 1.0), ("b", 0.0)])
    levels = label_documents(RankingRow(query="q", pos=["a", "b", "c"], pos_scores=[0, 1, 2]), max_label=2)
    assert levels == ("q", [("c", 1.0), ("b", 0.5), ("a", 0.0)])
    taught = label_documents(RankingRow(query="q", pos=["a", "b"], pos_scores=[0.2, 0.9]))
    assert taught == ("q", [("b", 0.9), ("a", 0.2)])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "q", "pos": ["a"], "pos_scores": [3]}', "label 3.0 found, 0.0 to 1.0 allowed"),
        ('{"query": "q", "pos": ["a"], "pos_scores": [1, 0]}', "pos_scores: 2 found for 1 documents"),
        ('{"query": "q", "pos": []}', "pos: List should have at least 1 item"),
        ('{"query": "q", "neg": ["b"]}', "pos: Field required"),
        ('{"query": "q", "pos": "a"}', "pos: Input should be a valid list"),
        ('{"query": "q", "pos": ["a"], "negs": ["b"]}', "negs: Extra inputs"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"query": "ok", "pos": ["a"], "neg": ["b"]}\n' + line + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:2: ") as error:
        read_ranking(path)
    assert message in str(error.value)


def test_conflicts_are_counted_and_positive(tmp_path: Path) -> None:
    write_records(tmp_path / "rows.jsonl", [RankingRow(query="q", pos=["a"], neg=["a", "b"])])
    rows, conflicts = read_ranking(tmp_path / "rows.jsonl")
    assert conflicts == 1
    assert rows == [("q", [("a", 1.0), ("b", 0.0)])]


def test_a_query_is_on_one_side_of_the_split() -> None:
    rows = [(query, [("a", 1.0), ("b", 0.0)]) for query in QUERIES.values()]
    train, dev = rows[:3], rows[3:]
    check_leakage(train, dev)
    with pytest.raises(ValueError, match="1 dev queries are training queries too"):
        check_leakage(train, [*dev, (train[0][0].upper(), [])])


def test_groups_hold_a_best_document_and_are_drawn_anew() -> None:
    rows = [("q", [("a", 1.0), ("b", 1.0), *((f"n{i}", 0.0) for i in range(20))])]
    groups = sample_groups(rows, groups=8, documents=4, seed=1)
    assert all(len(documents) == 4 and documents[0][1] == 1.0 for _, documents in groups)
    assert len({tuple(documents) for _, documents in groups}) > 4
    assert groups == sample_groups(rows, groups=8, documents=4, seed=1)
