"""Negatives of task rows: nothing that serves a query is one of its negatives, and nothing that is left out goes unsaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ir_measures import ScoredDoc
from makers import retriever_settings

from tandem.corpora.near_duplicates import duplicate_groups
from tandem.formats.flag_embedding import write_task_rows
from tandem.interfaces import Searcher
from tandem.records import Document, TaskRow
from tandem.retrievers import task_negatives
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index
from tandem.retrievers.retriever import save_retriever
from tandem.retrievers.task_negatives import TaskCorpus, TaskMiningSettings, corpus_of, merge_shards, mine_task_negatives, shard_rows

KEYS = [
    "Paris is the capital of France .",
    "Berlin is the capital of Germany .",
    "paris  is the capital of FRANCE .",
    "Paris is the capital of France , on the Seine .",
    "Lyon is a city in France .",
    "Berlin is the capital of Germany .",
    "Rome lies on the Tiber .",
    " ",
    "The capital of Peru is Lima .",
]


class Fixed:
    """Finds the keys of given places, best first, whatever is asked."""

    def __init__(self, *places: int) -> None:
        self.places = places

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        return [ScoredDoc(query_id, str(place), -float(i)) for query_id in queries for i, place in enumerate(self.places[:depth])]


def mine(row: TaskRow, searcher: Searcher, groups: Sequence[int] | None = None, **settings: Any) -> tuple[TaskRow, dict[str, int]]:
    rows, counts = mine_task_negatives([row], TaskCorpus(KEYS, groups), searcher, TaskMiningSettings(**settings))
    return rows[0], {name: count for name, count in counts.items() if count}


ROW = TaskRow(
    query_id="1",
    task="qa",
    query="What is the capital of France?",
    pos=[KEYS[0]],
    pos_index=[0],
    neg=["old"],
    neg_index=[3],
    teacher_scores=[-1.0, -2.0],
    answers=["Paris"],
)
EVERY = Fixed(*range(len(KEYS)))


def test_positives_are_left_out_by_place_text_and_near_duplicate() -> None:
    """Pitfall 3: the original compares a place with a list of places, which holds of none, and so knows equal texts alone."""
    groups = [0, 1, 0, 0, 4, 1, 6, 7, 8]
    row, counts = mine(ROW, EVERY, groups)
    assert row.neg_index == [1, 4, 6, 8]
    assert row.neg == [KEYS[place] for place in row.neg_index]
    assert row.teacher_scores is None
    assert (row.pos, row.pos_index, row.answers) == (ROW.pos, ROW.pos_index, ROW.answers)
    assert counts == {
        "rows": 1,
        "negatives": 4,
        "scores_dropped": 1,
        "by_place": 1,
        "by_text": 1,
        "near_duplicates": 1,
        "repeated": 1,
        "empty": 1,
    }


def test_a_place_alone_protects_a_key_whose_text_the_row_has_otherwise() -> None:
    row, counts = mine(ROW.model_copy(update={"pos": ["the capital is Paris"], "pos_index": [4], "teacher_scores": None}), Fixed(4, 6))
    assert (row.neg_index, counts["by_place"]) == ([6], 1)
    assert "scores_dropped" not in counts


def test_a_text_alone_protects_its_near_duplicates() -> None:
    """The row has no places, as many files have none: its text is looked up in the corpus."""
    groups = duplicate_groups(KEYS, threshold=0.5)
    assert groups[3] == 0
    row, counts = mine(ROW.model_copy(update={"pos_index": None}), Fixed(0, 2, 3, 6), groups)
    assert (row.neg_index, counts["by_text"], counts["near_duplicates"]) == ([6], 2, 1)


def test_keys_with_an_answer_where_asked() -> None:
    row = ROW.model_copy(update={"answers": ["lima", "Berl"]})
    assert mine(row, Fixed(1, 6, 8))[0].neg_index == [1, 6, 8]
    tokens, counts = mine(row, Fixed(1, 6, 8), answers="tokens")
    assert (tokens.neg_index, counts["answers"]) == ([1, 6], 1)  # "Berl" is no token of key 1
    substring, counts = mine(row, Fixed(1, 6, 8), answers="substring")
    assert (substring.neg_index, counts["answers"]) == ([6], 2)


def test_the_first_ones_are_taken() -> None:
    row, counts = mine(ROW, Fixed(6, 4, 1, 8), max_negatives=2)
    assert (row.neg_index, counts["negatives"]) == ([6, 4], 2)
    assert mine(ROW, Fixed(6, 4, 1, 8), depth=1)[0].neg_index == [6]


def test_rows_without_negatives_stay_and_are_counted() -> None:
    """Pitfall 18: a query that BM25 finds nothing for is lost in the original, and so is nothing said of it."""
    row, counts = mine(ROW, Fixed(0, 2))
    assert row == ROW
    assert counts == {"rows": 1, "rows_without_negatives": 1, "by_place": 1, "by_text": 1}
    strange = ROW.model_copy(update={"query": "zzz"})
    index = BM25Index(corpus_of(KEYS))
    rows, counts = mine_task_negatives([ROW, strange, ROW], TaskCorpus(KEYS), index, TaskMiningSettings())
    assert [len(row.neg_index or ()) for row in rows] == [4, 1, 4]
    assert rows[1] == strange
    assert (counts["rows"], counts["rows_without_results"], counts["rows_without_negatives"]) == (3, 1, 1)


@pytest.mark.parametrize("found", ["-1", "9", "x", "1.0"])
def test_places_that_a_corpus_lacks_are_refused(found: str) -> None:
    """Pitfall 12: faiss pads with -1, which the original makes a valid place of by adding a shard's start."""

    class Padded:
        def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
            return [ScoredDoc(query_id, found, 0.0) for query_id in queries]

    with pytest.raises(ValueError, match=f"'{found}' found in a run, which is no place of a corpus of 9 keys"):
        mine(ROW, Padded())


def test_rows_and_groups_of_another_corpus_are_refused() -> None:
    with pytest.raises(ValueError, match="row 1: pos_index: 9 found, the corpus has 9 keys"):
        mine(ROW.model_copy(update={"pos_index": [9]}), EVERY)
    with pytest.raises(ValueError, match="1 groups found for 9 keys"):
        TaskCorpus(KEYS, [0])


@pytest.fixture(params=["bm25", "dense"])
def searcher(request: pytest.FixtureRequest, corpus: list[Document], tiny_encoder: Path, tmp_path: Path) -> Searcher:
    texts = corpus_of([document.text for document in corpus])
    if request.param == "bm25":
        return BM25Index(texts)
    from tandem.retrievers.dense import build_dense

    model = build_dense(retriever_settings(tiny_encoder, kind="dense"))
    save_retriever(model, tmp_path / "weights")
    build_index(model, texts, tmp_path / "index", IndexSettings(kind="flat"), scratch=tmp_path / "scratch", seed=1)
    return VectorIndex(tmp_path / "index", tmp_path / "weights", model=model)


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_shards_merge_to_the_bytes_of_one_process(
    searcher: Searcher, corpus: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world_size: int
) -> None:
    """With ids that look like places, whose keys a search leaves out of results: key 0 is found for row 0 all the same."""
    monkeypatch.setattr(task_negatives, "BLOCK", 2)
    keys = TaskCorpus([document.text for document in corpus])
    queries = [
        "sort the rows of a table",
        "mean of the array",
        "equations",
        "a line of points",
        "dates and times",
        "tables on a key",
        "rows",
    ]
    rows = [
        TaskRow(query_id=str(i), task="tool", query=query, pos=[keys.keys[(i + 5) % 6]], pos_index=[(i + 5) % 6])
        for i, query in enumerate(queries)
    ]
    whole, counts = mine_task_negatives(rows, keys, searcher, TaskMiningSettings())
    assert 0 in (whole[0].neg_index or ())
    assert all(row.neg for row in whole)
    assert all((i + 5) % 6 not in (row.neg_index or ()) for i, row in enumerate(whole))
    assert counts["negatives"] == sum(len(row.neg) for row in whole)
    parts = [mine_task_negatives(shard_rows(rows, rank, world_size), keys, searcher, TaskMiningSettings())[0] for rank in range(world_size)]
    assert sum(len(part) for part in parts) == len(rows)
    write_task_rows(tmp_path / "one.json", whole)
    write_task_rows(tmp_path / "many.json", merge_shards(parts))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "many.json").read_bytes()


def test_parts_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_negatives, "BLOCK", 2)
    rows = [ROW.model_copy(update={"query_id": str(i)}) for i in range(7)]
    parts = [shard_rows(rows, rank, 2) for rank in range(2)]
    assert [[row.query_id for row in part] for part in parts] == [["0", "1", "4", "5"], ["2", "3", "6"]]
    assert merge_shards(parts) == rows
    with pytest.raises(ValueError, match=r"parts of \[3, 4\] rows"):
        merge_shards(parts[::-1])
    with pytest.raises(ValueError, match=r"parts of \[4, 0\] rows"):
        merge_shards([parts[0], []])
    with pytest.raises(ValueError, match="rank: 2 found, allowed: 0 to 1"):
        shard_rows(rows, 2, 2)


def test_line_breaks_of_a_query_are_white_space() -> None:
    r"""Pitfall 18: the original searches for repr(query), in which a line break is a letter n, and ``\n`` before a word hides the word."""
    index = BM25Index(corpus_of(KEYS))
    broken = ROW.model_copy(update={"query": "city\nLima\n"})
    spaced = ROW.model_copy(update={"query": "city Lima"})
    assert mine(broken, index)[0].neg_index == mine(spaced, index)[0].neg_index == [8, 4]
