"""``tandem import``: what the loop reads of it, and the one line of what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tandem.cli.main import app
from tandem.corpora.files import load_files
from tandem.formats.errors import InputError
from tandem.formats.jsonl import read_records, write_records
from tandem.formats.llama_factory import PreferenceRow, SupervisedRow, write_dataset
from tandem.records import Document, LabelledPair, PreferencePair, document_text

RUN = CliRunner()


@pytest.fixture
def data(tmp_path: Path, corpus: list[Document], pairs: list[LabelledPair], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a supervised and a preference data set of the corpus, as `tandem export` writes them."""
    monkeypatch.chdir(tmp_path)
    texts = {document.doc_id: document_text(document) for document in corpus}
    write_dataset(tmp_path / "lf", "pairs", [SupervisedRow(prompt=texts[pair.doc_id], completion=pair.text) for pair in pairs])
    better = [PreferenceRow(prompt=texts[pair.doc_id], chosen=pair.text, rejected="worse") for pair in pairs]
    write_dataset(tmp_path / "lf", "better", better, formatting="sharegpt")
    return tmp_path / "lf"


def test_what_is_imported_is_a_collection_of_ones_files(data: Path, corpus: list[Document], pairs: list[LabelledPair]) -> None:
    result = RUN.invoke(app, ["import", "sft", "lf", "pairs", "--output", "mine"], catch_exceptions=False)
    assert "6 documents in mine/documents.jsonl, 6 labelled pairs in mine/pairs.jsonl" in result.output
    assert "tandem init --profile own-files --set prepare_corpus.path=mine/documents.jsonl" in result.output
    collection = load_files(Path("mine/documents.jsonl"), pairs=Path("mine/pairs.jsonl"))
    assert [document.text for document in collection.documents] == [document.text for document in corpus]
    texts = {document.doc_id: document.text for document in collection.documents}
    read = {pair.text: texts[pair.doc_id] for pair in [*collection.train, *collection.test]}
    assert read == {pair.text: next(d.text for d in corpus if d.doc_id == pair.doc_id) for pair in pairs}
    assert collection.left_out == {}


def test_preferences_have_the_ids_of_the_prepared_corpus(data: Path, corpus: list[Document], pairs: list[LabelledPair]) -> None:
    write_records(Path("corpus.jsonl"), corpus)
    result = RUN.invoke(app, ["import", "preferences", "lf", "better", "--corpus", "corpus.jsonl"], catch_exceptions=False)
    assert "6 preference pairs in preferences.jsonl" in result.output
    read = read_records(Path("preferences.jsonl"), PreferencePair)
    assert [(pair.doc_id, pair.chosen, pair.rejected) for pair in read] == [(pair.doc_id, pair.text, "worse") for pair in pairs]


def test_what_cannot_be_imported_is_one_error(data: Path, corpus: list[Document]) -> None:
    write_records(Path("corpus.jsonl"), corpus[1:])
    cases = {
        ("sft", "lf", "mine"): r"lf/dataset_info.json: no entry 'mine'; there are: better, pairs",
        ("sft", "lf", "better"): r"lf/dataset_info.json: better: preference data \(ranking\); `tandem import preferences` reads it",
        ("preferences", "lf", "pairs", "--corpus=corpus.jsonl"): r"pairs: supervised data \(no ranking\); `tandem import sft` reads it",
        ("preferences", "lf", "better"): r"out/data/corpus.jsonl: no such file; `dvc repro prepare_corpus` writes it",
        (
            "preferences",
            "lf",
            "better",
            "--corpus=corpus.jsonl",
        ): r"^lf: better: row 0: no document of the corpus has the text 'Sort",
        ("sft", "lf", "pairs", "--instruction=Write"): r"^lf: pairs: row 0: .* does not begin with the instruction 'Write'",
        ("sft", "nowhere", "x"): r"nowhere/dataset_info.json: no such file",
    }
    for words, message in cases.items():
        with pytest.raises(InputError, match=message):
            RUN.invoke(app, ["import", *words], catch_exceptions=False)
    assert sorted(path.name for path in Path().iterdir()) == ["corpus.jsonl", "lf"]


def test_nothing_is_replaced_unasked(data: Path) -> None:
    Path("documents.jsonl").write_text(json.dumps({"text": "mine"}))
    with pytest.raises(InputError, match=r"^documents.jsonl is there, and would be replaced: give another --output, or --force"):
        RUN.invoke(app, ["import", "sft", "lf", "pairs"], catch_exceptions=False)
    assert not Path("pairs.jsonl").exists()
    RUN.invoke(app, ["import", "sft", "lf", "pairs", "--force"], catch_exceptions=False)
    assert len(read_records(Path("documents.jsonl"), Document)) == 6
