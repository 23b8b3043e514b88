"""A collection from the source that its settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.corpora.build import CorpusSettings, describe, load_collection
from tandem.settings import SettingError


def test_manifest(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,text\n1,one\n2,two\n")
    collection = load_collection(CorpusSettings(source="files", path=str(tmp_path / "d.csv"), seed=1), cache=tmp_path)
    manifest = describe(collection, list(collection.documents))
    assert manifest["counts"]["documents"] == 2
    assert len(manifest["sha256"]) == 64
    assert manifest["sources"] == {"files": "d.csv"}


def test_a_training_query_that_is_a_test_query_is_named(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "one"}\n{"_id": "e", "text": "two"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "a", "text": "What  is one"}\n{"_id": "b", "text": "what is one"}\n')
    for split, query in (("train", "a"), ("test", "b")):
        (tmp_path / f"qrels/{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{query}\td\t1\n")
    collection = load_collection(CorpusSettings(source="beir", path=str(tmp_path), seed=1), cache=tmp_path)
    assert collection.train == []
    assert collection.left_out == {"training query that is a test query": ["a"]}


def test_no_collection_is_an_empty_one(tmp_path: Path) -> None:
    """What prepare_guard takes for `none`."""
    collection = load_collection(CorpusSettings(source="none", seed=1), cache=tmp_path)
    assert [collection.documents, collection.train, collection.test] == [[], [], []]


def test_a_value_that_cannot_be_used_begins_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^path: '' found"):
        load_collection(CorpusSettings(source="files", seed=1), cache=tmp_path)
    with pytest.raises(SettingError, match=r"^packages: 'no_such_package' is not an installed package"):
        load_collection(CorpusSettings(source="python_api", packages=["no_such_package"], seed=1), cache=tmp_path)
