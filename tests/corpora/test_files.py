"""Documents and labelled pairs of a person's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.corpora.files import load_files


@pytest.mark.parametrize("kind", ["jsonl", "csv", "folder"])
def test_your_own_files(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "docs" / "deep").mkdir(parents=True)
        (tmp_path / "docs" / "a.txt").write_text("one")
        (tmp_path / "docs" / "deep" / "b.md").write_text("two")
        (tmp_path / "docs" / "c.bin").write_bytes(b"\x00")
        path, ids = tmp_path / "docs", ["a.txt", "deep/b.md"]
    elif kind == "csv":
        path, ids = tmp_path / "d.csv", ["1", "2"]
        path.write_text('id,title,text\n1,A,"one, with ""quotes"""\n2,B,two\n')
    else:
        path, ids = tmp_path / "d.jsonl", ["x", "d-2"]
        path.write_text('{"doc_id": "x", "text": "one"}\n{"text": "two"}\n')
    pairs = tmp_path / "p.jsonl"
    pairs.write_text("".join(f'{{"query": "question {i}", "doc_id": "{ids[i % 2]}"}}\n' for i in range(40)))
    collection = load_files(path, pairs=pairs, test_share=0.5)
    assert [document.doc_id for document in collection.documents] == ids
    assert len(collection.train) + len(collection.test) == 40
    assert 8 < len(collection.test) < 32
    assert not {p.query_id for p in collection.train} & {p.query_id for p in collection.test}
    assert load_files(path).test == []
