"""Issue 15, C: a malformed input ends in one line that names file, line or key, the value, and what is allowed; outputs stay as they were.

Every case goes through what a person starts: a stage's `main` under `stages.runtime.run`, or `tandem doctor`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import set_values
from ruamel.yaml import YAML

from stages import prepare_corpus, prepare_guard, sample_pairs
from stages.runtime import run
from tandem.cli import main as cli
from tandem.formats.jsonl import read_records, write_records
from tandem.formats.llama_factory import read_dataset
from tandem.records import Document

ROOT = Path(__file__).parents[2]
Files = Mapping[str, str | bytes]
Case = tuple[Files, tuple[str, ...]]
"""Files that are not as they should be, and what the line has to say: place, value, what is allowed or to be done."""

HEADER = "query-id\tcorpus-id\tscore\n"
BEIR = {
    "data/corpus.jsonl": '{"_id": "d1", "title": "", "text": "one"}\n{"_id": "d2", "text": "two"}\n',
    "data/queries.jsonl": '{"_id": "q1", "text": "what"}\n',
    "data/qrels/test.tsv": HEADER + "q1\td1\t1\n",
}
CORPUS, QUERIES, QRELS = BEIR


def row(**values: object) -> str:
    return json.dumps(values) + "\n"


BEIR_CASES: dict[str, Case] = {
    "corpus: empty file": ({CORPUS: ""}, (CORPUS, "no document in it", "_id, title, text")),
    "corpus: not JSON": ({CORPUS: '{"_id": "d1", "text": \n'}, (f"{CORPUS}:1", "not a JSON object", 'found \'{"_id": "d1"')),
    "corpus: not a number": ({CORPUS: '{"_id": "d1", "text": NaN}\n'}, (f"{CORPUS}:1", "not a JSON object", "NaN")),
    "corpus: an array": ({CORPUS: '["d1", "text"]\n'}, (f"{CORPUS}:1", "list found", "one JSON object a line")),
    "corpus: no id": ({CORPUS: row(text="one")}, (f"{CORPUS}:1", "_id None found", "a text that is not empty or a number")),
    "corpus: empty id": ({CORPUS: row(_id=" ", text="one")}, (f"{CORPUS}:1", "_id ' '", "a text that is not empty or a number")),
    "corpus: true as id": ({CORPUS: row(_id=True, text="one")}, (f"{CORPUS}:1", "_id True", "a text that is not empty or a number")),
    "corpus: list as id": ({CORPUS: row(_id=["d1"], text="one")}, (f"{CORPUS}:1", "_id ['d1']", "a text that is not empty or a number")),
    "corpus: tab in id": ({CORPUS: row(_id="a\tb", text="one")}, (f"{CORPUS}:1", r"'a\tb'", "a tab (U+0009), which no id may")),
    "corpus: line break in id": ({CORPUS: row(_id="ok", text="x") + row(_id="a\n", text="x")}, (f"{CORPUS}:2", r"'a\n'", "a line break")),
    "corpus: U+2028 in id": ({CORPUS: row(_id="a\u2028b", text="one")}, (f"{CORPUS}:1", r"'a\u2028b'", "a line separator (U+2028)")),
    "corpus: id twice": ({CORPUS: BEIR[CORPUS] + row(_id="d1", text="x")}, (f"{CORPUS}:3", "_id 'd1'", "identifiers are unique")),
    "corpus: 1 and 1.0": ({CORPUS: row(_id=1, text="x") + row(_id="1.0", text="y")}, (f"{CORPUS}:2", "_id '1'", "identifiers are unique")),
    "corpus: no text": ({CORPUS: row(_id="d1", title="t")}, (f"{CORPUS}:1", "text: None", "a string is expected")),
    "corpus: text is a list": ({CORPUS: row(_id="d1", text=["one"])}, (f"{CORPUS}:1", "text: ['one']", "a string is expected")),
    "corpus: title is a number": ({CORPUS: row(_id="d1", title=7, text="one")}, (f"{CORPUS}:1", "title: 7", "a string is expected")),
    "corpus: no row with text": (
        {CORPUS: row(_id="d1", title="", text="  ")},
        (CORPUS, "1 rows with neither title nor text", "_id, title, text"),
    ),
    "corpus: not UTF-8": ({CORPUS: b'{"_id": "d1", "text": "\xff"}\n'}, (f"{CORPUS}:1", "not a JSON object in UTF-8")),
    "queries: no id": ({QUERIES: row(text="what")}, (f"{QUERIES}:1", "_id None", "a text that is not empty or a number")),
    "queries: empty text": ({QUERIES: row(_id="q1", text=" ")}, (f"{QUERIES}:1", "text: ' '", "take the line out")),
    "queries: text is a number": ({QUERIES: row(_id="q1", text=3)}, (f"{QUERIES}:1", "text: 3", "a string is expected")),
    "queries: id twice": ({QUERIES: row(_id="q1", text="a") * 2}, (f"{QUERIES}:2", "_id 'q1'", "identifiers are unique")),
    "queries: carriage return in id": ({QUERIES: row(_id="q\r1", text="a")}, (f"{QUERIES}:1", r"'q\r1'", "a line break (U+000D)")),
    "qrels: empty file": ({QRELS: ""}, (f"{QRELS}:1", "header ''", "query-id<TAB>corpus-id<TAB>score")),
    "qrels: no header": ({QRELS: "q1\td1\t1\n"}, (f"{QRELS}:1", r"header 'q1\td1\t1'", "query-id<TAB>corpus-id<TAB>score")),
    "qrels: TREC's form": ({QRELS: HEADER + "q1 0 d1 1\n"}, (f"{QRELS}:2", "'q1 0 d1 1'", "three tab-separated columns")),
    "qrels: two columns": ({QRELS: HEADER + "q1\td1\n"}, (f"{QRELS}:2", r"'q1\td1'", "three tab-separated columns")),
    "qrels: empty cell": ({QRELS: HEADER + "q1\t\t1\n"}, (f"{QRELS}:2", r"'q1\t\t1'", "three tab-separated columns")),
    "qrels: score is a word": ({QRELS: HEADER + "q1\td1\tyes\n"}, (f"{QRELS}:2", "score 'yes'", "a whole number")),
    "qrels: score is a fraction": ({QRELS: HEADER + "q1\td1\t0.5\n"}, (f"{QRELS}:2", "score '0.5'", "a whole number")),
    "qrels: contradiction": ({QRELS: HEADER + "q1\td1\t1\nq1\td1\t0\n"}, (f"{QRELS}:3", "0 after 1", "one of the lines has to go")),
    "qrels: U+2028 in id": ({QRELS: HEADER + "q1\u2028\td1\t1\n"}, (f"{QRELS}:2", r"query-id 'q1\u2028'", "which no id may")),
    "qrels: not UTF-8": ({QRELS: HEADER.encode() + b"q1\td\xe9\t1\n"}, (QRELS, "not UTF-8 at byte", "convert the file to UTF-8")),
    "qrels: queries absent": (
        {QRELS: HEADER + "q9\td1\t1\n"},
        (QRELS, "query 'q9', which is not in queries.jsonl (1 of 1 lines)", "give files"),
    ),
    "qrels: documents absent": (
        {QRELS: HEADER + "q1\td9\t1\n"},
        (QRELS, "document 'd9', which is not in corpus.jsonl (1 of 1", "give files"),
    ),
    "qrels: nothing positive": ({QRELS: HEADER + "q1\td1\t0\n"}, (QRELS, "no positive judgement", "test_split")),
}

CSV, PAIRS = "documents.csv", "pairs.csv"
GOOD = {CSV: "id,text\n1,one two\n2,three\n", PAIRS: "query,doc_id\nwhat,1\n"}
FILE_CASES: dict[str, Case] = {
    "CSV: no column text": ({CSV: "id,body\n1,one\n"}, (f"{CSV}:1: text", "there are: 'id', 'body'", "a column or key of this name")),
    "CSV: semicolons": ({CSV: "id;text\n1;one\n"}, (f"{CSV}:1: text", "there are: 'id;text'", "a column or key of this name")),
    "CSV: a column twice": ({CSV: "id,text,text\n1,a,b\n"}, (f"{CSV}:1", "column 'text'", "give each column another name")),
    "CSV: a cell too many": ({CSV: "id,text\n1,one,two\n"}, (f"{CSV}:2", "cells (3)", "columns (2)")),
    "CSV: a cell too few": ({CSV: 'id,text\n1,"a\nb"\n2\n'}, (f"{CSV}:4", "cells (1)", "columns (2)")),
    "CSV: an open quote": ({CSV: 'id,text\n1,one\n2,"two\nthree\n'}, (f"{CSV}:3", "not CSV", "unexpected end of data")),
    "CSV: not UTF-8": ({CSV: b"id,text\n1,one\n2,caf\xe9\n"}, (f"{CSV}:3", "not CSV in UTF-8", "convert the file to UTF-8")),
    "CSV: id twice": ({CSV: "id,text\n1,one\n1,two\n"}, (f"{CSV}:3", "doc_id '1'", "identifiers are unique")),
    "CSV: tab in id": ({CSV: 'id,text\n"a\tb",one\n'}, (f"{CSV}:2: doc_id", r"'a\tb'", "a tab (U+0009), which no id may")),
    "CSV: U+2028 in id": ({CSV: "id,text\n1,x\na\u2028b,one\n"}, (f"{CSV}:3: doc_id", r"'a\u2028b'", "a line separator")),
    "CSV: no text at all": ({CSV: "id,text\n1,\n2, \n"}, (CSV, "2 left out: document with neither title nor text", "need a column 'text'")),
    "CSV: empty": ({CSV: ""}, (CSV, "no document in it", "need a column 'text'")),
    "pairs: no column query": ({PAIRS: "q,doc_id\nwhat,1\n"}, (f"{PAIRS}:1: query", "there are: 'q', 'doc_id'", "a column or key")),
    "pairs: no column doc_id": ({PAIRS: "query,id\nwhat,1\n"}, (f"{PAIRS}:1: doc_id", "there are: 'query', 'id'", "a column or key")),
    "pairs: empty query": ({PAIRS: "query,doc_id\n ,1\n"}, (f"{PAIRS}:2: query", "' ' found", "a text that is not empty")),
    "pairs: empty doc_id": ({PAIRS: "query,doc_id\nwhat,\n"}, (f"{PAIRS}:2: doc_id", "'' found", "a text that is not empty or a number")),
    "pairs: no such document": ({PAIRS: GOOD[PAIRS] + "which,9\n"}, (f"{PAIRS}:3: doc_id", "'9' found", "take the pair out")),
    "pairs: line break in doc_id": ({PAIRS: 'query,doc_id\nwhat,"1\n"\n'}, (f"{PAIRS}:2: doc_id", r"'1\n'", "which no id may")),
    "pairs: relevance is a word": (
        {PAIRS: "query,doc_id,relevance\nwhat,1,yes\n"},
        (f"{PAIRS}:2: relevance", "'yes' found", "a whole number"),
    ),
    "pairs: contradiction": ({PAIRS: "query,doc_id,relevance\na,1,1\nA,1,0\n"}, (f"{PAIRS}:3: relevance", "0 found after 1", "has to go")),
    "pairs: a missing file": ({PAIRS: b""}, (PAIRS, "no such file", "a .jsonl or .csv file that exists")),
}
JSONL_CASES: dict[str, Case] = {
    "JSONL: no key text": (
        {"a.jsonl": row(id=1, body="one")},
        ("a.jsonl:1: text", "there are: 'id', 'body'", "a column or key of this name"),
    ),
    "JSONL: text is a number": ({"a.jsonl": row(id=1, text=5)}, ("a.jsonl:1: text", "5 found", "a text is expected")),
    "JSONL: title is a list": ({"a.jsonl": row(id=1, text="x", title=["t"])}, ("a.jsonl:1: title", "['t'] found", "a text is expected")),
    "JSONL: id is a map": ({"a.jsonl": row(id={}, text="x")}, ("a.jsonl:1: doc_id", "{} found", "a text that is not empty or a number")),
    "JSONL: cut off": ({"a.jsonl": row(id=1, text="x") + '{"id": 2, "te'}, ("a.jsonl:2", "not a JSON object", '{"id": 2, "te')),
    "JSONL: UTF-16 cut off": (
        {"a.jsonl": row(id=1, text="x").encode("utf-16")[:-1]},
        ("a.jsonl", "not UTF-16", "convert the file to UTF-8"),
    ),
    "another suffix": ({"a.xml": "<a/>"}, ("prepare_corpus.path", "'a.xml'", "a .jsonl or .csv file")),
    "an empty folder": ({"folder/.keep": ""}, ("folder: no document in it", "1 left out: file: hidden", "needs text files")),
    "a folder of HTML": (
        {"folder/a.html": "<p>"},
        ("folder: no document in it", "1 left out: file: .html is not read", "needs text files"),
    ),
    "a folder in Latin-1": (
        {"folder/a.txt": b"caf\xe9"},
        ("folder: no document in it", "1 left out: file: not UTF-8; convert it to UTF-8", "needs text files"),
    ),
    "a line break in a file's name": ({"folder/a\nb.txt": "x"}, (r"folder/a\nb.txt", "a line break (U+000A)", "which no id may")),
    "file names but for white space": ({"folder/a.txt": "x", "folder/ a.txt": "y"}, ("folder", "'a.txt'", "rename one")),
}

SAMPLE = ["--pairs=p", "--train=t", "--dev=d", "--queries=q", "--record=r"]
PARAMS = "seed: 1\nsample_pairs: {pairs: 10, dev_share: 0.5}\n"
PLAN = PARAMS + "rounds:\n  r1: {prev: r0, generator: g1}\n  r2: {prev: r1, generator: g2}\nupdates:\n  g2: {base: g1, round: r1}\n"
PARAM_CASES: dict[str, tuple[str | bytes | None, tuple[str, ...]]] = {
    "no file": (None, ("params.yaml", "no such file", "`tandem init` writes a complete one")),
    "empty": ("", ("params.yaml", "nothing found", "a mapping of sections is expected")),
    "comments alone": ("# seed: 1\n", ("params.yaml", "nothing found", "a mapping of sections is expected")),
    "a list": ("- 1\n", ("params.yaml", "list found", "a mapping of sections is expected")),
    "an open bracket": ("seed: 1\na: [1\n", ("params.yaml:2", "not YAML", "expected ',' or ']'", "'a: [1'")),
    "a tab": ("seed: 1\nsample_pairs:\n\tpairs: 10\n", ("params.yaml:3", "not YAML", "cannot start any token", r"'\tpairs: 10'")),
    "a key twice": ("seed: 1\nseed: 2\n", ("params.yaml:2", "not YAML", 'found duplicate key "seed"')),
    "not UTF-8": (b"seed: 1 # caf\xe9\n", ("params.yaml", "not UTF-8 at byte 13", "convert the file to UTF-8")),
    "no section": ("seed: 1\n", ("params.yaml", "no section 'sample_pairs'", "there are: seed")),
    "a section that is a number": ("seed: 1\nsample_pairs: 3\n", ("params.yaml", "no section 'sample_pairs'", "there are:")),
    "unknown key": (
        PARAMS.replace("pairs: 10", "pairs: 10, pears: 1"),
        ("params.yaml", "sample_pairs.pears", "found 1", "keys allowed: pairs,"),
    ),
    "missing key": ("seed: 1\nsample_pairs: {pairs: 10}\n", ("params.yaml", "sample_pairs.dev_share", "Field required")),
    "a text for a number": (PARAMS.replace("10", "ten"), ("params.yaml", "sample_pairs.pairs", "a valid integer", "found 'ten'")),
    "a fraction for a whole number": (PARAMS.replace("10", "10.5"), ("params.yaml", "sample_pairs.pairs", "a valid integer", "found 10.5")),
    "null for a number": (PARAMS.replace("10", "null"), ("params.yaml", "sample_pairs.pairs", "a valid integer", "found None")),
    "no shared seed": (PARAMS.replace("seed: 1\n", ""), ("params.yaml", "sample_pairs.seed", "Field required")),
    "a shared seed that is a text": (PARAMS.replace("seed: 1", "seed: one"), ("params.yaml: seed:", "a valid integer", "found 'one'")),
    "prev is not there": (PLAN.replace("prev: r1", "prev: r9"), ("params.yaml", "rounds.r2.prev", "'r9'", "allowed: r0, r1, r2")),
    "generator is not there": (PLAN.replace("generator: g2", "generator: g3"), ("rounds.r2.generator", "'g3'", "allowed: g1, g2")),
    "base is not there": (PLAN.replace("base: g1", "base: g0"), ("updates.g2.base", "'g0'", "allowed: g1, g2")),
    "round is not there": (PLAN.replace("round: r1", "round: r7"), ("updates.g2.round", "'r7'", "allowed: r1, r2")),
    "an update after round 0": (PLAN.replace("round: r1", "round: r0"), ("of rounds makes", "updates.g2.round", "'r0'", "allowed: r1, r2")),
    "a round without generator": (PLAN.replace(", generator: g2", ""), ("rounds.r2", "{'prev': 'r1'}", "{prev: ..., generator: ...}")),
    "a round that waits for itself": (PLAN.replace("prev: r1", "prev: r2"), ("rounds.r2", "each waits for another", "come before it")),
    "a circle of rounds": (PLAN.replace("round: r1", "round: r2"), ("rounds.r2, updates.g2", "each waits for another", "come before it")),
    "a round r0": (PLAN.replace("r1: {", "r0: {"), ("rounds.r0", "'r0'", "give the entry another name")),
    "rounds that are a list": (PARAMS + "rounds: [r1]\nupdates: {}\n", ("rounds", "['r1'] found", "a map of names")),
    "no updates": (PARAMS + "rounds: {}\n", ("updates", "None found", "{} for none")),
    "a round that is no folder's name": (PLAN.replace("r2: {", "r/2: {"), ("rounds", "'r/2'", "letters, digits")),
}


def error_of(main: Callable[[], object]) -> str:
    """The line that a stage ends with; it must not end well."""
    with pytest.raises(SystemExit) as ended:
        run(lambda: (main(), pytest.fail("the input was taken"))[1])
    return str(ended.value.code)


def doctor(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["tandem", "doctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return str(ended.value.code)


def check(message: str, expected: tuple[str, ...]) -> None:
    assert message.startswith("error: "), message
    assert len(message.splitlines()) == 1, message
    assert [text for text in expected if text not in message] == [], message


def write(files: Files) -> None:
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def prepare(values: Mapping[str, Any]) -> str:
    """What `prepare_corpus` ends with; its outputs must stay as they were before, with no draft beside them."""
    outputs = {"corpus": "corpus.jsonl", "train": "train.jsonl", "test": "test", "manifest": "manifest.json", "record": "record.json"}
    write({"out/corpus.jsonl": "what was there\n", "out/train.jsonl": "", "out/test/qrels.tsv": "x\n", "out/manifest.json": "{}"})
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    with Path("params.yaml").open("w") as file:
        YAML().dump({"seed": 1, "prepare_corpus": dict(values)}, file)
    message = error_of(lambda: prepare_corpus.main([f"--{flag}=out/{name}" for flag, name in outputs.items()]))
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before
    return message


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", BEIR_CASES)
def test_beir_folder(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, expected = BEIR_CASES[case]
    write({**BEIR, **files})
    message = prepare({"source": "beir", "path": "data"})
    check(message, expected)
    assert doctor(monkeypatch, "data") == message


def test_a_beir_folder_without_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    write(BEIR)
    Path(QRELS).rename("data/qrels/dev.tsv")
    message = prepare({"source": "beir", "path": "data"})
    check(message, (QRELS, "no such file; there are dev", "test_split names the split"))
    assert doctor(monkeypatch, "data") == message


@pytest.mark.parametrize("case", FILE_CASES)
def test_files(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, expected = FILE_CASES[case]
    write({**GOOD, **files})
    if files.get(PAIRS) == b"":
        Path(PAIRS).unlink()
    message = prepare({"source": "files", "path": CSV, "pairs": PAIRS})
    check(message, expected)
    assert doctor(monkeypatch, CSV, "--pairs", PAIRS) == message
    assert doctor(monkeypatch, "--params", "params.yaml") == message


@pytest.mark.parametrize("case", JSONL_CASES)
def test_other_files_and_folders(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, expected = JSONL_CASES[case]
    write(files)
    path = next(iter(files)).split("/")[0]
    message = prepare({"source": "files", "path": path})
    check(message, expected)
    assert doctor(monkeypatch, path) == message.replace("params.yaml: ", "")  # which nobody asked for


SOURCES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no such BEIR folder": ({"source": "beir", "path": "nowhere"}, ("prepare_corpus.path", "'nowhere' is not a folder", "corpus.jsonl")),
    "a folder without corpus": ({"source": "beir", "path": "out"}, ("out/corpus.jsonl:1", "'what was there'")),
    "no such data set": ({"source": "beir", "name": "sciface"}, ("prepare_corpus.name", "'sciface'", "allowed: arguana")),
    "no path": ({"source": "files"}, ("prepare_corpus.path", "'' found", "a .jsonl or .csv file")),
    "no such file": ({"source": "files", "path": "none.csv"}, ("none.csv", "no such file", "a .jsonl or .csv file that exists")),
    "no such source": ({"source": "hub"}, ("params.yaml: prepare_corpus.source", "found 'hub'", "'beir' or 'files'")),
    "no such package": ({"source": "python_api", "packages": ["no.such"]}, ("prepare_corpus.packages", "'no.such'", "install it")),
    "more test queries than documents": (
        {"source": "python_api", "packages": ["json"], "documents": 99, "test_queries": 98},
        ("prepare_corpus.test_queries", "98 found", "ask for fewer"),
    ),
}


@pytest.mark.parametrize("case", SOURCES)
def test_sources(case: str) -> None:
    values, expected = SOURCES[case]
    check(prepare(values), expected)


def test_an_error_of_the_guard_names_its_own_section() -> None:
    write({"params.yaml": "seed: 1\nprepare_guard: {source: beir, path: nowhere}\n"})
    message = error_of(lambda: prepare_guard.main(["--guard=guard", "--record=record.json"]))
    check(message, ("prepare_guard.path", "'nowhere' is not a folder", "corpus.jsonl"))
    assert not Path("guard").exists()


@pytest.mark.parametrize("case", PARAM_CASES)
def test_params(case: str) -> None:
    content, expected = PARAM_CASES[case]
    if content is not None:
        write({"params.yaml": content})
    check(error_of(lambda: sample_pairs.main(SAMPLE)), expected)
    assert not [path for path in Path().iterdir() if path.name != "params.yaml"]


def test_params_that_are_a_folder() -> None:
    Path("params.yaml").mkdir()
    expected = ("params.yaml", "a folder, a file is expected", "`tandem init`")
    check(error_of(lambda: sample_pairs.main(SAMPLE)), expected)


@pytest.mark.parametrize("case", [case for case in PARAM_CASES if "rounds" in " ".join(PARAM_CASES[case][1])])
def test_the_doctor_checks_the_plan(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content, expected = PARAM_CASES[case]
    write({"params.yaml": content or ""})
    check(doctor(monkeypatch), expected)


IMPORTED: dict[str, tuple[Any, str | bytes | None, tuple[str, ...]]] = {
    "null": (None, None, ("generate_queries.file", "nothing found", "a JSONL file of {text, doc_id}")),
    "a missing file": ("q.jsonl", None, ("q.jsonl", "no such file", "a JSONL file of {text, doc_id}")),
    "a folder": (".", None, ("generate_queries.file", "nothing found", "a JSONL file of {text, doc_id}")),
    "no query": ("q.jsonl", "\n", ("q.jsonl", "no query in it", "a JSONL file of {text, doc_id}")),
    "no such document": ("q.jsonl", row(text="a", doc_id="d9"), ("q.jsonl:1", "doc_id 'd9' is not in the corpus", "take the line out")),
    "no text": ("q.jsonl", row(doc_id="d1"), ("q.jsonl:1", "text: Field required")),
    "text is a number": ("q.jsonl", row(text=3, doc_id="d1"), ("q.jsonl:1", "text: Input should be a valid string", "found 3")),
    "no doc_id": ("q.jsonl", row(text="a"), ("q.jsonl:1", "doc_id: Field required")),
    "false as doc_id": (
        "q.jsonl",
        row(text="a", doc_id=False),
        ("q.jsonl:1: doc_id", "False found", "a text that is not empty or a number"),
    ),
    "tab in doc_id": ("q.jsonl", row(text="a", doc_id="d1\t"), ("q.jsonl:1: doc_id", r"'d1\t'", "which no id may")),
    "not JSON": ("q.jsonl", row(text="a", doc_id="d1") + "{broken\n", ("q.jsonl:2", "not a JSON object", "{broken")),
}


OUTSIDE: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a whole number out of bounds": (
        {"served": {"concurrent": 0}},
        ("generate_queries.served.concurrent", "greater than or equal to 1", "found 0"),
    ),
    "a time out of bounds": (
        {"served": {"timeout_seconds": -2.0}},
        ("generate_queries.served.timeout_seconds", "greater than 0", "found -2.0"),
    ),
    "no such backend": ({"backend": "ollama"}, ("generate_queries.backend", "'model', 'openai' or 'file'", "found 'ollama'")),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_values_that_are_not_allowed(case: str) -> None:
    from stages import generate_queries

    changes, expected = OUTSIDE[case]
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    set_values(params["generate_queries"], changes)
    with Path("params.yaml").open("w") as file:
        YAML().dump(params, file)
    flags = ["--corpus=c", "--held-out=h", "--weights=w", "--queries=q", "--record=r", "--round=r1", "--cache=k"]
    check(error_of(lambda: generate_queries.main(flags)), expected)


@pytest.mark.parametrize("case", IMPORTED)
def test_imported_queries(case: str) -> None:
    from stages import generate_queries

    name, content, expected = IMPORTED[case]
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    params["generate_queries"] |= {"backend": "file", "file": name}
    with Path("params.yaml").open("w") as file:
        YAML().dump(params, file)
    write_records(Path("corpus.jsonl"), [Document(doc_id="d1", text="one")])
    write({"out/queries.jsonl": "what was there\n", "held_out.json": "[]"})
    if content is not None:
        write({"q.jsonl": content})
    flags = [
        "--corpus=corpus.jsonl",
        "--held-out=held_out.json",
        "--weights=w",
        "--queries=out/queries.jsonl",
        "--record=out/record.json",
        "--round=r1",
        "--cache=k",
    ]
    check(error_of(lambda: generate_queries.main(flags)), expected)
    assert {path.name: path.read_text() for path in Path("out").iterdir()} == {"queries.jsonl": "what was there\n"}


def test_a_server_that_does_not_answer_is_named_with_its_key() -> None:
    from stages import generate_queries

    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    served = {"url": "http://127.0.0.1:9/v1", "model": "x", "timeout_seconds": 1.0, "retries": 0}
    set_values(params["generate_queries"], {"backend": "openai", "served": served})
    with Path("params.yaml").open("w") as file:
        YAML().dump(params, file)
    write_records(Path("corpus.jsonl"), [Document(doc_id="d1", text="one")])
    write({"out/g1/model/weights/config.json": "{}", "held_out.json": "[]"})
    flags = ["--corpus=corpus.jsonl", "--held-out=held_out.json", "--weights=out/g1/model/weights", "--queries=q"]
    flags += ["--record=r", "--round=r1", "--cache=k"]
    expected = ("params.yaml: generate_queries.served.url: http://127.0.0.1:9/v1 does not answer within 1 s", "start a server there")
    check(error_of(lambda: generate_queries.main(flags)), expected)


GOOD_ROW = row(query="what", pos=["one"], neg=["two"])
RANKING: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "no pos": (row(query="what", neg=["two"]), GOOD_ROW, ("train.jsonl:1", "pos: Field required")),
    "empty pos": (row(query="what", pos=[]), GOOD_ROW, ("train.jsonl:1", "pos: List should have at least 1 item", "found []")),
    "pos is a text": (GOOD_ROW + row(query="what", pos="one"), GOOD_ROW, ("train.jsonl:2", "pos: Input should be a valid list", "'one'")),
    "unknown key": (
        row(query="what", pos=["one"], label=1),
        GOOD_ROW,
        ("train.jsonl:1", "label: Extra inputs are not permitted", "found 1"),
    ),
    "too few scores": (
        row(query="what", pos=["a", "b"], pos_scores=[1.0]),
        GOOD_ROW,
        ("train.jsonl:1", "pos_scores: 1 found", "2 documents"),
    ),
    "a label out of range": (row(query="w", pos=["a"], pos_scores=[7.0]), GOOD_ROW, ("train.jsonl:1", "label 7.0", "0.0 to 1.0 allowed")),
    "not JSON": ("query\n", GOOD_ROW, ("train.jsonl:1", "not a JSON object", "'query'")),
    "a bad dev row": (GOOD_ROW, row(query="", pos=["a"]), ("dev.jsonl:1", "query: String should have at least 1 character", "found ''")),
    "a dev query that is trained on": (GOOD_ROW, row(query="WHAT", pos=["a"]), ("dev.jsonl", "'WHAT'", "train.jsonl", "split by query")),
}


@pytest.mark.parametrize("case", RANKING)
def test_ranking_rows(case: str) -> None:
    from stages import train_reranker

    train, dev, expected = RANKING[case]
    write({"train.jsonl": train, "dev.jsonl": dev})
    flags = ["--rows=train.jsonl", "--dev-rows=dev.jsonl", "--model=model", "--curve=curve.csv", "--record=record.json", "--name=relevance"]
    check(error_of(lambda: train_reranker.main([f"--params={ROOT / 'params.yaml'}", *flags])), expected)
    assert not Path("model").exists()


INFO = "dataset_info.json"
ENTRY = json.dumps({"x": {"file_name": "x.json"}})
DATASETS: dict[str, Case] = {
    "no registry": ({}, (INFO, "no such file", "`tandem export`")),
    "registry is not JSON": ({INFO: "{"}, (f"{INFO}:1", "not JSON")),
    "registry is a list": ({INFO: "[]"}, (INFO, "list found", "a JSON dict is expected")),
    "no such entry": ({INFO: '{"a": {}}'}, (INFO, "no entry 'x'", "there are: a")),
    "an entry that is a text": ({INFO: '{"x": "x.json"}'}, (f"{INFO}: x", "'x.json' found", "a map with file_name")),
    "unknown formatting": ({INFO: '{"x": {"formatting": "toml"}}'}, (f"{INFO}: x.formatting", "'toml'", "allowed: alpaca, sharegpt")),
    "no data": ({INFO: ENTRY}, ("x.json", "no such file", "`tandem export`")),
    "another row": ({INFO: ENTRY, "x.json": '[{"text": "a"}]'}, ("x.json: row 0", "no key 'instruction'", "{'text': 'a'}")),
    "a row that is a text": ({INFO: ENTRY, "x.json": '["a"]'}, ("x.json: row 0", "not a alpaca row", "found 'a'")),
    "an answer that is a number": (
        {INFO: ENTRY, "x.json": '[{"instruction": "a", "output": 3}]'},
        ("x.json: row 0", "completion: Input should be a valid string", "found 3"),
    ),
}


@pytest.mark.parametrize("case", DATASETS)
def test_llama_factory_data_sets(case: str) -> None:
    files, expected = DATASETS[case]
    write(files)
    check(error_of(lambda: read_dataset(Path(), "x")), expected)


def test_there_are_sixty_and_more() -> None:
    tables = (BEIR_CASES, FILE_CASES, JSONL_CASES, SOURCES, PARAM_CASES, IMPORTED, RANKING, DATASETS)
    assert sum(len(table) for table in tables) >= 60


def test_an_error_of_several_lines_is_told_in_one() -> None:
    def main() -> None:
        raise ValueError("one\ntwo\u2028three")

    assert error_of(main) == "error: one two three"


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
