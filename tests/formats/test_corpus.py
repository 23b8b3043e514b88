"""A corpus read from its file: the same texts in the same order as in memory, without them in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import InputError, read_records, write_records
from tandem.records import Document, document_text


def test_texts_are_those_of_the_records(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    documents = [Document(doc_id=f"d{i}", title="Ä title" if i % 2 else "", text=f"text {i} " * (i + 1)) for i in range(20)]
    write_records(path, documents)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n", 3))  # empty lines are passed over
    expected = {document.doc_id: document_text(document) for document in read_records(path, Document)}
    texts = Corpus(path).texts
    assert (list(texts), len(texts), "d3" in texts, "x" in texts) == (list(expected), 20, True, False)
    assert list(texts.items()) == list(expected.items())
    assert list(texts.values()) == list(expected.values())
    assert [texts[doc_id] for doc_id in reversed(expected)] == list(expected.values())[::-1]
    with pytest.raises(KeyError):
        texts["x"]


def test_long_texts_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    write_records(path, (Document(doc_id=f"d{i}", text="word " * 4000) for i in range(1000)))  # 20 MB
    tracemalloc.start()
    texts = Corpus(path).texts
    total = sum(len(text) for text in texts.values())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 1000 * 20_000
    assert peak < 2 * 2**20


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "corpus.jsonl:2: not a JSON object"),
        ('{"doc_id": "b"}', "corpus.jsonl:2: text"),
        ('{"doc_id": "a", "text": "x"}', "'a' found a second time"),
    ],
)
def test_a_bad_line_is_named_before_anything_is_searched(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(f'{{"doc_id": "a", "text": "x"}}\n{line}\n')
    with pytest.raises(InputError, match=message):
        Corpus(path)
    with pytest.raises(InputError, match="no such file"):
        Corpus(tmp_path / "none.jsonl")


def test_a_corpus_file_is_the_list_of_its_documents(tmp_path: Path, corpus: list[Document]) -> None:
    write_records(tmp_path / "corpus.jsonl", corpus)
    file = Corpus(tmp_path / "corpus.jsonl")
    assert list(file) == [file[i] for i in range(len(file))] == corpus
    assert file[1:3] == corpus[1:3]
    assert file[-1] == corpus[-1]
    assert list(reversed(file)) == corpus[::-1]
    with pytest.raises(IndexError):
        file[len(corpus)]
    memory = Corpus(corpus)
    assert (list(memory), memory[1:3], memory[-1], len(memory)) == (corpus, corpus[1:3], corpus[-1], len(corpus))
    assert file.ids == memory.ids == [document.doc_id for document in corpus]
    assert dict(file.texts) == memory.texts
    assert Corpus.of(file) is file
    assert Corpus.of(corpus).texts == memory.texts


def test_near_duplicates_share_a_number_and_others_share_none(tmp_path: Path) -> None:
    groups = {"a": "g", "b": "", "c": "g", "g": "", "e": "h"}  # a document that is called as a group is not of it
    documents = [Document(doc_id=doc_id, text="x", group=group) for doc_id, group in groups.items()]
    write_records(tmp_path / "corpus.jsonl", documents)
    for corpus in (Corpus(documents), Corpus(tmp_path / "corpus.jsonl")):
        assert corpus.groups == {"a": 0, "b": 1, "c": 0, "g": 3, "e": 4}
