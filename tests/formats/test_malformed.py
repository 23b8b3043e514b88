"""Malformed corpora, queries, qrels, pairs and params: each gives one clear error, and nothing that existed is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stages import prepare_corpus, sample_pairs
from tandem.corpora.beir import download, load_folder
from tandem.corpora.files import load_documents, load_files
from tandem.formats.beir import read_corpus, read_qrels, read_queries
from tandem.formats.jsonl import InputError, read_records, write_records
from tandem.formats.llama_factory import read_dataset
from tandem.params import ParamsError, load_params
from tandem.records import Document, LabelledPair, PseudoQuery

GOOD_CORPUS = '{"_id": "d1", "title": "", "text": "one"}\n'
GOOD_QUERIES = '{"_id": "q1", "text": "what"}\n'
HEADER = "query-id\tcorpus-id\tscore\n"
PARAMS = "seed: 1\nsample_pairs: {pairs: 10, dev_share: 0.5}\n"

CORPORA = {
    "empty file": ("", "no document"),
    "not json": ('{"_id": "d1", "text": \n', ":1: not a JSON object"),
    "an array": ('["d1", "text"]\n', ":1: list found"),
    "no id": ('{"text": "one"}\n', ":1: _id None"),
    "number as id": ('{"_id": 7, "text": "one"}\n', ":1: _id 7"),
    "empty id": ('{"_id": " ", "text": "one"}\n', "_id ' '"),
    "tab in id": ('{"_id": "a\\tb", "text": "one"}\n', "tab"),
    "id twice": (GOOD_CORPUS + GOOD_CORPUS, ":2: _id 'd1' stands in the file a second time"),
    "no text": ('{"_id": "d1", "title": "t"}\n', "text: None"),
    "text is a list": ('{"_id": "d1", "text": ["one"]}\n', "text: ['one']"),
    "neither title nor text": ('{"_id": "d1", "title": "", "text": "  "}\n', "neither title nor text"),
    "not utf-8": (b'{"_id": "d1", "text": "\xff"}\n', ":1: not a JSON object in UTF-8"),
}


@pytest.mark.parametrize("case", CORPORA)
def test_corpus(tmp_path: Path, case: str) -> None:
    content, message = CORPORA[case]
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        read_corpus(path)
    assert message in str(error.value)
    assert "corpus.jsonl" in str(error.value)


QRELS = {
    "empty file": ("", ":1: header ''"),
    "no header": ("q1\td1\t1\n", ":1: header 'q1"),
    "trec format": (HEADER + "q1 0 d1 1\n", ":2: 'q1 0 d1 1' found, three tab-separated"),
    "two columns": (HEADER + "q1\td1\n", ":2:"),
    "empty cell": (HEADER + "q1\t\t1\n", ":2:"),
    "score is a word": (HEADER + "q1\td1\tyes\n", "score 'yes'"),
    "score is a fraction": (HEADER + "q1\td1\t0.5\n", "score '0.5'"),
    "judged twice": (HEADER + "q1\td1\t1\nq1\td1\t0\n", ":3:"),
}


@pytest.mark.parametrize("case", QRELS)
def test_qrels(tmp_path: Path, case: str) -> None:
    content, message = QRELS[case]
    (tmp_path / "test.tsv").write_text(content)
    with pytest.raises(InputError) as error:
        read_qrels(tmp_path / "test.tsv")
    assert message in str(error.value)
    assert "test.tsv" in str(error.value)


def beir_folder(folder: Path, qrels: str) -> Path:
    (folder / "qrels").mkdir()
    (folder / "corpus.jsonl").write_text(GOOD_CORPUS)
    (folder / "queries.jsonl").write_text(GOOD_QUERIES)
    (folder / "qrels" / "test.tsv").write_text(HEADER + qrels)
    return folder


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ("q9\td1\t1\n", "judges query 'q9', which is not in queries.jsonl"),
        ("q1\td9\t1\n", "judges document 'd9', which is not in corpus.jsonl"),
        ("q1\td1\t0\n", "no positive judgement"),
        ("", "no positive judgement"),
    ],
)
def test_judgements_of_what_is_not_there(tmp_path: Path, qrels: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_folder(beir_folder(tmp_path, qrels))


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "queries without text": (
        lambda p: read_queries(_write(p / "queries.jsonl", '{"_id": "q1", "text": ""}')),
        "has no text",
    ),
    "missing file": (lambda p: read_records(p / "none.jsonl", Document), "no such file"),
    "unknown key": (
        lambda p: read_records(_write(p / "d.jsonl", '{"doc_id": "a", "text": "t", "x": 1}'), Document),
        "x: Extra",
    ),
    "wrong type": (
        lambda p: read_records(_write(p / "q.jsonl", '{"query_id": 1, "text": "t", "doc_id": "d"}'), LabelledPair),
        "query_id",
    ),
    "unknown status": (
        lambda p: read_records(_write(p / "q.jsonl", '{"query_id": "a", "text": "t", "doc_id": "d", "status": "x"}'), PseudoQuery),
        "status",
    ),
    "no folder": (lambda p: load_folder(p / "nowhere"), "is not a folder"),
    "unknown data set": (lambda p: download("sciface", p), "'sciface' is no BEIR data set; allowed: arguana"),
    "unknown suffix": (lambda p: load_documents(_write(p / "a.xml", "<a/>")), ".jsonl or .csv"),
    "empty folder": (load_documents, "no document in it"),
    "csv without text": (lambda p: load_documents(_write(p / "a.csv", "id,body\n1,one\n")), "a.csv:2: text: None"),
    "csv with a cell too many": (
        lambda p: load_documents(_write(p / "a.csv", "id,text\n1,one,two\n")),
        "a.csv:2: not as many",
    ),
    "file ids twice": (lambda p: load_documents(_write(p / "a.csv", "id,text\n1,one\n1,two\n")), "a second time"),
    "folder not utf-8": (
        lambda p: load_documents(_write(p / "f" / "a.txt", b"\xff\xfe\x00").parent),
        "not UTF-8 at byte 0",
    ),
    "pair of no document": (
        lambda p: load_files(_write(p / "a.csv", "id,text\n1,one\n"), pairs=_write(p / "p.csv", "query,doc_id\nwhat,2\n")),
        "p.csv:2: doc_id: '2'",
    ),
    "pair without query": (
        lambda p: load_files(_write(p / "a.csv", "id,text\n1,one\n"), pairs=_write(p / "p.csv", "q,doc_id\nwhat,1\n")),
        "query: nothing found",
    ),
    "no dataset_info": (lambda p: read_dataset(p, "x"), "dataset_info.json: no such file"),
    "no such entry": (
        lambda p: read_dataset(_write(p / "dataset_info.json", '{"a": {}}').parent, "x"),
        "no entry 'x'; there are: a",
    ),
    "row of another form": (
        lambda p: read_dataset(
            _write(p / "x.json", '[{"text": "a"}]').parent if _write(p / "dataset_info.json", '{"x": {"file_name": "x.json"}}') else p,
            "x",
        ),
        "x.json: row 0: not a alpaca row",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_file(tmp_path: Path, case: str) -> None:
    call, message = FILES[case]
    with pytest.raises(InputError) as error:
        call(tmp_path)
    assert message in str(error.value)


PARAM_FILES = {
    "no file": (None, "no such file"),
    "not yaml": ("a: [1\n", "not YAML"),
    "a list": ("- 1\n", "list found"),
    "no section": ("seed: 1\n", "no section 'sample_pairs'; there are: seed"),
    "unknown key": (PARAMS.replace("pairs: 10", "pairs: 10, pears: 1"), "sample_pairs.pears"),
    "missing key": ("seed: 1\nsample_pairs: {pairs: 10}\n", "sample_pairs.dev_share: Field required"),
    "text for a number": (
        PARAMS.replace("10", "ten"),
        "sample_pairs.pairs: Input should be a valid integer, found 'ten'",
    ),
    "fraction for a whole number": (PARAMS.replace("10", "10.5"), "sample_pairs.pairs"),
    "no shared seed": (PARAMS.replace("seed: 1\n", ""), "sample_pairs.seed: Field required"),
}


@pytest.mark.parametrize("case", PARAM_FILES)
def test_params(tmp_path: Path, case: str) -> None:
    content, message = PARAM_FILES[case]
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ParamsError) as error:
        load_params(path, "sample_pairs", sample_pairs.Params)
    assert message in str(error.value)
    assert "params.yaml" in str(error.value)


def test_a_failed_stage_loses_nothing(tmp_path: Path) -> None:
    """A stage whose input is malformed leaves every output that was there before, and leaves no draft."""
    source = tmp_path / "source"
    source.mkdir()
    beir_folder(source, "q9\td1\t1\n")
    out = tmp_path / "out"
    out.mkdir()
    (out / "corpus.jsonl").write_text("what was there\n")
    (tmp_path / "params.yaml").write_text(f"seed: 1\nprepare_corpus: {{source: beir, path: {source}}}\n")
    flags = [
        f"--{n}={out / v}" for n, v in (("corpus", "corpus.jsonl"), ("train", "t"), ("test", "test"), ("manifest", "m"), ("record", "r"))
    ]
    with pytest.raises(InputError):
        prepare_corpus.main([f"--params={tmp_path / 'params.yaml'}", *flags])
    assert [path.name for path in out.iterdir()] == ["corpus.jsonl"]
    assert (out / "corpus.jsonl").read_text() == "what was there\n"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, [Document(doc_id="old", text="t")])

    def records() -> object:
        yield Document(doc_id="new", text="t")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_records(path, records())  # type: ignore[arg-type]
    assert [document.doc_id for document in read_records(path, Document)] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def _write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
