"""Issue 15, C: BEIR's own archives, ids, repeated pairs, long cells, byte order marks, small corpora, folders, and what is left out."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import retriever_settings
from ruamel.yaml import YAML
from sentence_transformers import SentenceTransformer
from typer.testing import CliRunner

from stages import prepare_corpus, prepare_guard
from tandem.cli import main as cli
from tandem.corpora.beir import load_folder
from tandem.corpora.files import load_documents, load_files
from tandem.corpora.near_duplicates import duplicate_groups, with_groups
from tandem.evaluation.collections import measure_collections, read_collections
from tandem.evaluation.significance import SignificanceSettings, compare
from tandem.formats.beir import read_corpus, read_qrels, write_qrels
from tandem.formats.corpus import Corpus
from tandem.formats.identifiers import read_identifier
from tandem.formats.jsonl import InputError, read_json_lines, write_records
from tandem.formats.llama_factory import read_dataset
from tandem.generators.imported import import_queries
from tandem.generators.requests import RequestSettings
from tandem.records import Document, Query
from tandem.retrievers import bm25, retriever
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.index import building, shards
from tandem.retrievers.index.building import IndexSettings, VectorIndex
from tandem.runtime.params import load_params
from tandem.runtime.plan import check_plan
from tandem.settings import Settings

HEADER = "query-id\tcorpus-id\tscore\n"


def rows(*values: Mapping[str, object]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def beir_folder(folder: Path, *, judgements: int = 4) -> Path:
    """As FiQA (a document of nothing) and ArguAna (a judgement of a document that is not there) are, and a line that stands there twice."""
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{i}", "title": None if i else "", "text": f"text {i}"} for i in range(4)]
    empty = {"_id": "d-empty", "title": "", "text": "", "metadata": {}}
    (folder / "corpus.jsonl").write_text(rows(*documents, empty))
    (folder / "queries.jsonl").write_text(rows(*({"_id": f"q{i}", "text": f"query {i}"} for i in range(5))))
    lines = [f"q{i}\td{i}\t1\n" for i in range(judgements)] + ["q4\td-empty\t1\n", "q4\tgone\t1\n", "q0\td0\t1\n"]
    (folder / "qrels" / "test.tsv").write_text(HEADER + "".join(lines))
    return folder


def run_stage(stage: Any, section: str, values: dict[str, Any], outputs: Mapping[str, str]) -> None:
    with Path("params.yaml").open("w") as file:
        YAML().dump({"seed": 1, section: values}, file)
    stage.main([f"--{flag}={name}" for flag, name in {**outputs, "record": "record.json"}.items()])


PREPARED = {"corpus": "corpus.jsonl", "train": "train.jsonl", "test": "test", "manifest": "manifest.json"}


def test_archives_of_beir_load_and_the_manifest_counts_what_was_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    beir_folder(tmp_path / "data")
    run_stage(prepare_corpus, "prepare_corpus", {"source": "beir", "path": "data"}, PREPARED)
    manifest = json.loads(Path("manifest.json").read_text())
    assert manifest["counts"]["documents"] == 4
    assert manifest["counts"]["test_judgements"] == 4
    assert manifest["left_out"] == {
        "document with neither title nor text": {"count": 1, "names": ["d-empty"]},
        "judgement in test.tsv of a document that is not in corpus.jsonl": {"count": 2, "names": ["d-empty", "gone"]},
        "judgement in test.tsv that stands there before, merged with it": {"count": 1, "names": ["test.tsv:8"]},
    }
    shown = CliRunner().invoke(cli.app, ["doctor", "data"]).output
    assert "1 x document with neither title nor text: d-empty" in shown
    assert "2 x judgement in test.tsv of a document that is not in corpus.jsonl: d-empty, gone" in shown


def test_a_split_of_which_most_is_absent_is_refused(tmp_path: Path) -> None:
    assert len(load_folder(beir_folder(tmp_path / "half", judgements=2)).test) == 2  # two of four are absent
    with pytest.raises(InputError, match=r"document 'd-empty', which is not in corpus.jsonl \(2 of 3 lines\)"):
        load_folder(beir_folder(tmp_path / "most", judgements=1))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, "7"), (0, "0"), (12.0, "12"), ("12.0", "12"), (" d1 ", "d1"), ("007", "007"), (1.5, "1.5"), ("1.50", "1.50"), (-1.0, "-1")],
)
def test_ids_follow_one_rule(value: object, expected: str) -> None:
    assert read_identifier(value, where="x") == expected


@pytest.mark.parametrize("value", [None, "", " ", True, [], {}, "a\tb", "a\nb", "a\r", "a\u2028b", "a\u2029", "a\x85b", "a\x00", "\ud800"])
def test_ids_that_are_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^place: "):
        read_identifier(value, where="place:")


def test_a_number_that_loses_digits_is_no_id(tmp_path: Path) -> None:
    """JSON integers beyond 64 bits are read as floats: two of them would be one id."""
    path = tmp_path / "d.jsonl"
    path.write_text('{"id": 9007199254740993, "text": "kept"}\n{"id": 123456789012345678901, "text": "lost"}\n')
    with pytest.raises(InputError, match=r"d\.jsonl:2: doc_id: 1\.2345678901234568e\+20 found, .* write it as a text, in quotes"):
        load_files(path)


def test_a_plan_that_names_what_is_there_is_taken(tmp_path: Path) -> None:
    """Rounds and updates in any order, controls, no update at all, and a recipe, which has neither."""
    plans = (
        {
            "rounds": {"r2": {"prev": "r1", "generator": "g2"}, "r1": {"prev": "r0", "generator": "g1"}},
            "updates": {"g2": {"base": "g1", "round": "r1"}},
        },
        {"rounds": {"r1": {"prev": "r0", "generator": "g1"}, "s1": {"prev": "r0", "generator": "g1"}}, "updates": {}},
        {
            "rounds": {"r1": {"prev": "r0", "generator": "g1"}, "x": {"prev": "r1", "generator": "x"}},
            "updates": {"x": {"base": "g1", "round": "r1"}},
        },
        {"seed": 1},
    )
    for plan in plans:
        check_plan(plan, tmp_path / "params.yaml")


def test_the_rule_holds_in_every_file(tmp_path: Path) -> None:
    """Documents 0, 1, 2 as numbers, as text, as pandas writes a column with a gap; pairs, judgements and imported queries find them all."""
    spellings: dict[str, tuple[object, ...]] = {"numbers": (0, 1, 2), "texts": ("0", " 1", "2 "), "floats": (0.0, 1.0, 2.0)}
    for name, ids in spellings.items():
        (tmp_path / f"{name}.jsonl").write_text(rows(*({"id": doc_id, "text": f"text {i}"} for i, doc_id in enumerate(ids))))
        (tmp_path / f"{name}.csv").write_text("id,text\n" + "".join(f"{doc_id},text {i}\n" for i, doc_id in enumerate(ids)))
        (tmp_path / f"{name}-corpus.jsonl").write_text(rows(*({"_id": doc_id, "text": f"text {i}"} for i, doc_id in enumerate(ids))))
        (tmp_path / f"{name}-queries.jsonl").write_text(rows(*({"text": "x", "doc_id": doc_id} for doc_id in ids)))
        (tmp_path / f"{name}-pairs.jsonl").write_text(rows(*({"query": f"what {i}", "doc_id": doc_id} for i, doc_id in enumerate(ids))))
        (tmp_path / f"{name}-pairs.csv").write_text("query,doc_id\n" + "".join(f"what {i},{doc_id}\n" for i, doc_id in enumerate(ids)))
        (tmp_path / f"{name}.tsv").write_text(HEADER + "".join(f"{doc_id}\t{doc_id}\t1.0\n" for doc_id in ids))
    plan = RequestSettings(sampled_documents=9, queries_per_document=9)
    for documents in [load_documents(path)[0] for name in spellings for path in (tmp_path / f"{name}.jsonl", tmp_path / f"{name}.csv")]:
        assert [document.doc_id for document in documents] == ["0", "1", "2"]
    for name in spellings:
        assert [document.doc_id for document in read_corpus(tmp_path / f"{name}-corpus.jsonl")[0]] == ["0", "1", "2"]
        assert [(q.query_id, q.doc_id, q.relevance) for q in read_qrels(tmp_path / f"{name}.tsv")] == [(i, i, 1) for i in "012"]
        imported = import_queries(tmp_path / f"{name}-queries.jsonl", documents, plan, seed=1)
        assert [doc_id for doc_id, _ in imported] == ["0", "1", "2"]
        for suffix in ("jsonl", "csv"):
            collection = load_files(tmp_path / "numbers.csv", pairs=tmp_path / f"{name}-pairs.{suffix}", test_share=0.0)
            assert [pair.doc_id for pair in collection.train] == ["0", "1", "2"]


def test_a_pair_twice_is_merged_counted_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("id,text\n1,one two\n2,three\n3,\n")
    Path("p.csv").write_text("query,doc_id\nWhat is it,1\nwhat  is IT,1\nWhat is it,1.0\nwhat is it,2\nC++,2\nC#,2\nnothing,3\n")
    collection = load_files(Path("d.csv"), pairs=Path("p.csv"), test_share=0.0)
    assert [(pair.text, pair.doc_id) for pair in collection.train[:2]] == [("What is it", "1"), ("What is it", "2")]
    assert len({pair.query_id for pair in collection.train[:2]}) == 1
    merged = {"pair that stands there before, merged with it": ["p.csv:3", "p.csv:4"]}
    assert collection.left_out.items() >= merged.items()
    run_stage(prepare_corpus, "prepare_corpus", {"source": "files", "path": "d.csv", "pairs": "p.csv", "test_share": 0.0}, PREPARED)
    manifest = json.loads(Path("manifest.json").read_text())
    shown = CliRunner().invoke(cli.app, ["doctor", "d.csv", "--pairs", "p.csv", "--test-share", "0"]).stdout
    assert f"train             {manifest['counts']['train_pairs']} pairs, {manifest['counts']['train_queries']} queries" in shown
    for reason, names in (
        ("pair that stands there before, merged with it", ["p.csv:3", "p.csv:4"]),
        ("pair of a document with neither title nor text", ["p.csv:8"]),
        ("document with neither title nor text", ["3"]),
    ):
        assert manifest["left_out"][reason] == {"count": len(names), "names": names}
        assert f"left out          {len(names)} x {reason}: {', '.join(names)}" in shown
    assert shown.strip() in CliRunner().invoke(cli.app, ["doctor"]).stdout


def test_a_pair_that_is_judged_not_relevant_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,text\n1,one\n2,two\n")
    (tmp_path / "p.csv").write_text("query,doc_id,relevance\na,1,2.0\na,2,0\nb,2,\n")
    collection = load_files(tmp_path / "d.csv", pairs=tmp_path / "p.csv", test_share=0.0)
    assert [(pair.text, pair.doc_id, pair.relevance) for pair in collection.train] == [("a", "1", 2), ("b", "2", 1)]
    assert collection.left_out == {"pair judged not relevant": ["p.csv:3"]}


def test_training_queries_that_are_test_queries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = beir_folder(tmp_path / "data")
    (folder / "qrels" / "train.tsv").write_text(HEADER + "q0\td1\t1\nq4\td2\t1\n")
    run_stage(prepare_corpus, "prepare_corpus", {"source": "beir", "path": "data"}, PREPARED)
    manifest = json.loads(Path("manifest.json").read_text())
    assert manifest["counts"]["train_pairs"] == 1
    assert manifest["left_out"]["training query that is a test query"] == {"count": 1, "names": ["q0"]}
    assert "1 x training query that is a test query: q0" in CliRunner().invoke(cli.app, ["doctor", "data"]).output


def test_cells_of_any_length(tmp_path: Path) -> None:
    long = "word " * 100_000
    with (tmp_path / "d.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], ["1", long]])
    assert load_documents(tmp_path / "d.csv")[0][0].text == long


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_everywhere(tmp_path: Path, encoding: str) -> None:
    texts = {
        "corpus.jsonl": rows({"_id": "ä", "text": "é\u2028è"}),
        "queries.jsonl": rows({"_id": "ü", "text": "what"}),
        "qrels/test.tsv": HEADER + "ü\tä\t1\n",
        "d.jsonl": rows({"id": "ä", "text": "é"}),
        "d.csv": "id,text\r\nä,é\r\n",
        "p.csv": "query,doc_id\nwhat,ä\n",
        "f/a.txt": "é",
        "q.jsonl": rows({"text": "what", "doc_id": "ä"}),
        "params.yaml": "seed: 1\nstage: {}\n",
        "dataset_info.json": '{"x": {}}',
        "x.json": '[{"instruction": "é", "output": "b"}]',
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.replace("\\u2028", "\u2028").encode(encoding))
    collection = load_folder(tmp_path)
    assert [(document.doc_id, document.text) for document in collection.documents] == [("ä", "é\u2028è")]
    assert [(pair.query_id, pair.doc_id) for pair in collection.test] == [("ü", "ä")]
    for source in ("d.jsonl", "d.csv"):
        found = load_files(tmp_path / source, pairs=tmp_path / "p.csv", test_share=1.0)
        assert [(document.doc_id, document.text) for document in found.documents] == [("ä", "é")]
        assert [(pair.text, pair.doc_id) for pair in found.test] == [("what", "ä")]
    assert [document.text for document in load_documents(tmp_path / "f")[0]] == ["é"]
    plan = RequestSettings(sampled_documents=1, queries_per_document=1)
    assert [text for _, text in import_queries(tmp_path / "q.jsonl", found.documents, plan, seed=1)] == ["what"]
    assert load_params(tmp_path / "params.yaml", "stage", Settings) == Settings()
    assert [row.prompt for row in read_dataset(tmp_path, "x")] == ["é"]


def test_a_prepared_corpus_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(rows({"doc_id": "a", "text": "x"}, {"doc_id": "b", "text": "y"}).encode("utf-8-sig"))
    texts = Corpus(path).texts
    assert dict(texts) == {"a": "x", "b": "y"}
    assert [number for number, _ in read_json_lines(path)] == [1, 2]


STOP_WORDS = {"a": "the of and", "b": "a", "c": "!!!"}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_bm25_of_stop_words_alone_finds_nothing(size: int) -> None:
    documents = dict(list(STOP_WORDS.items())[:size])
    assert bm25.search(documents, {"q": "the list of things"}, depth=10) == []
    for words in (documents, {"a": "", "b": "!"}):
        run = bm25.search_candidates(words, {"q": ("list", "a")}, candidates=10, seed=1)
        assert all(item.score == 0 for item in run)


def test_bm25_of_one_document() -> None:
    assert [item.doc_id for item in bm25.search({"a": "sort a table"}, {"q": "table"}, depth=100)] == ["a"]
    assert bm25.search({}, {"q": "table"}, depth=100) == []


@pytest.mark.parametrize("kind", ["exact", "flat", "hnsw", "ivf_pq", "plaid"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_corpus_too_small_for_its_index_is_searched_exactly(
    kind: Any, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a guard of a few documents is, beside a corpus of millions."""
    vectors = torch.nn.functional.normalize(torch.randn(size, 64, generator=torch.Generator().manual_seed(0)), dim=-1)

    def vectors_of(model: object, texts: list[str], *, task: str) -> list[torch.Tensor]:
        return [vectors[int(text)].unsqueeze(0) for text in texts]

    monkeypatch.setattr(shards, "vectors_of", vectors_of)
    monkeypatch.setattr(building, "vectors_of", vectors_of)
    documents = {f"d{i}": str(i) for i in range(size)}
    building.build_index(None, documents, tmp_path / "index", IndexSettings(kind=kind), scratch=tmp_path / "scratch", seed=1)
    index = VectorIndex(tmp_path / "index", Path("none"))
    monkeypatch.setattr(building, "load_retriever", lambda *_, **__: None)
    run = index.search({"q": "0"}, depth=10)
    assert run[0].doc_id == "d0"
    assert {item.doc_id for item in run} == set(documents)


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_retrievers_search_a_corpus_of_one_document(kind: Any, tiny_encoder: Path) -> None:
    model = build_colbert(retriever_settings(tiny_encoder)) if kind == "colbert" else SentenceTransformer(str(tiny_encoder), device="cpu")
    for text in ("sort the rows", "the", "!"):
        run = retriever.search(model, {"a": text}, {"q": "sort", "p": "?"}, depth=100)
        assert [(item.query_id, item.doc_id) for item in run] == [("q", "a"), ("p", "a")]


def test_two_systems_are_compared_on_one_query() -> None:
    """As a budget of two pairs leaves one for dev: no p-value is an error, and none is small."""
    compared = compare({"q": 0.25}, {"q": 0.75}, SignificanceSettings(resamples=100, seed=0))
    assert (compared.difference, compared.p_t, compared.p_randomisation, compared.wins) == (0.5, 1.0, 1.0, 1)


def test_near_duplicates_of_few_documents_and_of_signs() -> None:
    assert duplicate_groups([]) == []
    assert duplicate_groups(["one"]) == [0]
    assert duplicate_groups(["!!!", "???", "!!!"]) == [0, 1, 0]
    assert [document.group for document in with_groups([Document(doc_id="a", text="?")], threshold=0.8)] == [""]


def test_a_guard_of_one_document_of_stop_words_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("id,text\n1,the of\n")
    Path("p.csv").write_text("query,doc_id\nof the,1\n")
    values = {"source": "files", "path": "d.csv", "pairs": "p.csv", "test_share": 1.0}
    run_stage(prepare_guard, "prepare_guard", values, {"guard": "guard"})
    assert json.loads(Path("guard/manifest.json").read_text())["counts"]["test_queries"] == 1
    write_records(Path("corpus.jsonl"), [Document(doc_id="a", text="x y")])
    write_records(Path("dev.jsonl"), [])
    write_records(Path("test/queries.jsonl"), [Query(query_id="q", text="and")])
    write_qrels(Path("test/qrels.tsv"), [])
    collections = read_collections(Path("corpus.jsonl"), Path("test"), Path("dev.jsonl"), Path("guard"))
    indexes = [bm25.BM25Index(collections[name].documents) for name in ("test", "guard")]
    values_by_set, _ = measure_collections(collections, *indexes, depth=100)
    assert list(values_by_set["guard"]["ndcg_at_10"].values()) == [0.0]


def test_every_file_that_is_left_out_is_named_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "docs"
    for name, content in {
        "a.txt": b"one",
        "sub/B.MD": b"two",
        "page.html": b"<p>three</p>",
        "other.html": b"<p>",
        "README": b"no suffix",
        "empty.txt": b" \n",
        "binary.txt": b"\x89PNG\x00\x01",
        ".hidden.txt": b"secret",
        ".git/config": b"x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "self.txt").symlink_to(folder / "self.txt")
    (folder / "gone.txt").symlink_to(folder / "nowhere.txt")
    os.mkfifo(folder / "pipe.txt")
    documents, left_out = load_documents(folder)
    assert [(document.doc_id, document.text) for document in documents] == [("a.txt", "one"), ("sub/B.MD", "two")]
    only = "(only .md, .rst, .txt)"
    assert left_out == {
        "file: hidden": [".git", ".hidden.txt"],
        f"file: no suffix is not read {only}": ["README"],
        "file: binary": ["binary.txt"],
        "file: empty": ["empty.txt"],
        "file: a link that leads nowhere, or in a circle": ["gone.txt", "self.txt"],
        f"file: .html is not read {only}": ["other.html", "page.html"],
        "file: not a regular file": ["pipe.txt"],
        "file: a link to a folder, which is not followed": ["sub/loop"],
    }
    run_stage(prepare_corpus, "prepare_corpus", {"source": "files", "path": "docs"}, PREPARED)
    manifest = json.loads(Path("manifest.json").read_text())
    assert manifest["left_out"] == {reason: {"count": len(names), "names": names} for reason, names in left_out.items()}
    shown = CliRunner().invoke(cli.app, ["doctor", "docs"]).output
    for reason, names in left_out.items():
        assert f"left out          {len(names)} x {reason}: {', '.join(names)}\n" in shown


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "b.txt":  # a test that runs as root may read everything
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    documents, left_out = load_documents(tmp_path)
    assert [document.doc_id for document in documents] == ["a.txt"]
    assert left_out == {"file: cannot be read (Permission denied)": ["b.txt"]}
