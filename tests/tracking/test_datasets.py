"""What a stage read, as datasets: names, digests that follow the content, counts by kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from tandem.formats.jsonl import write_records
from tandem.records import Document, LabelledPair, PreferencePair, PseudoQuery, Query, RankingRow
from tandem.tracking.datasets import describe_dataset

PAIR = LabelledPair(query_id="q", text="what", doc_id="d")
ROWS: dict[str, tuple[Sequence[BaseModel], dict[str, int]]] = {
    "documents": ([Document(doc_id=str(i), text="t") for i in range(3)], {"documents": 3}),
    "pairs": ([PAIR, PAIR], {"pairs": 2}),
    "queries": ([Query(query_id="q", text="what")], {"queries": 1}),
    "generated": ([PseudoQuery(query_id="q", text="what", doc_id="d")], {"queries": 1}),
    "preferences": ([PreferencePair(doc_id="d", chosen="a", rejected="b", kind="hard_over_easy")], {"pairs": 1}),
    "negatives": ([RankingRow(query="q", pos=["d"])], {"rows": 1}),
    "empty": ([], {"rows": 0}),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_file_of_each_kind_of_record(tmp_path: Path, name: str) -> None:
    records, counts = ROWS[name]
    path = tmp_path / f"out/rounds/r1/{name}.jsonl"
    write_records(path, records)
    use = describe_dataset(path, "train")
    assert use is not None
    assert (use.name, use.role, use.counts) == (f"rounds/r1/{name}", "train", counts)
    assert len(use.digest) <= 36


def test_a_digest_follows_the_content(tmp_path: Path) -> None:
    digests = []
    for text in ("one", "two", "one"):
        write_records(tmp_path / f"{len(digests)}.jsonl", [Document(doc_id="d", text=text)])
        use = describe_dataset(tmp_path / f"{len(digests)}.jsonl", "corpus")
        assert use is not None
        digests.append(use.digest)
    assert digests[0] == digests[2] != digests[1]


def test_a_folder_of_a_test_set_is_one_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "out/data/guard"
    write_records(folder / "corpus.jsonl", [Document(doc_id="d", text="t")])
    write_records(folder / "queries.jsonl", [Query(query_id="q", text="what"), Query(query_id="r", text="which")])
    use = describe_dataset(folder, "guard")
    assert use is not None
    assert (use.name, use.counts) == ("data/guard", {"documents": 1, "queries": 2})


def test_what_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "vectors.npy").write_bytes(b"")
    assert [describe_dataset(tmp_path / name, "x") for name in ("weights", "vectors.npy", "missing.jsonl")] == [None] * 3
