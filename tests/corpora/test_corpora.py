"""Docstrings to documents, BEIR and files to collections, near duplicates, the labelled budget."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tandem.corpora import beir
from tandem.corpora.build import describe, load_collection
from tandem.corpora.collection import without_test_queries
from tandem.corpora.few_shot import budget, sample_pairs
from tandem.corpora.files import load_files
from tandem.corpora.near_duplicates import duplicate_groups, with_groups
from tandem.corpora.python_api import build_collection, package_root, read_docstrings, split_docstring
from tandem.formats.jsonl import InputError
from tandem.records import Document, LabelledPair

SOURCE = '''
"""Module."""
import nowhere_at_all

def resize(image, size):
    """Resize an image to a given size.

    Pixels are interpolated between their four neighbours, and the aspect ratio is not kept, so that shapes may look wider.

    Parameters
    ----------
    image : array
        The pixels.

    See Also
    --------
    rotate : Turn an image around its centre.

    Examples
    --------
    >>> resize(image, (2, 2))
    """

class Camera:
    """A camera that takes pictures.

    Every picture is kept in memory until the camera is closed, which writes all of them to the disk in the order taken.
    """

    def click(self):
        """Click."""

add_newdoc("package.core", "crop", """
    crop(image, box, /)

    Cut a rectangle out of an image.

    The rectangle is given by its corners, and whatever of it lies outside of the image is filled with black pixels at the end.
    """)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "toypackage"
    (folder / "tests").mkdir(parents=True)
    (folder / "__init__.py").write_text(SOURCE)
    (folder / "tests" / "test_it.py").write_text(SOURCE.replace("Resize", "Test"))
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_docstrings_are_read_and_never_imported(package: Path) -> None:
    items = {item.name: item for item in read_docstrings(package_root("toypackage"), min_body_words=10)}
    assert set(items) == {"toypackage.resize", "toypackage.Camera", "package.core.crop"}
    resize = items["toypackage.resize"]
    assert resize.summary == "Resize an image to a given size"
    assert resize.body.startswith("Pixels are interpolated")
    assert "Parameters" in resize.body
    assert "rotate" not in resize.body
    assert ">>>" not in resize.body
    assert items["package.core.crop"].summary == "Cut a rectangle out of an image"
    with pytest.raises(InputError, match="'no_such_package' is not an installed package"):
        package_root("no_such_package")


@pytest.mark.parametrize(
    "docstring",
    [
        "Short.",
        "%(name)s of the thing here.\n\nBody.",
        "Give back the %(klass)s of it.\n\nBody.",
        "Say it twice.\n\nWe say it twice.",
    ],
)
def test_docstrings_without_a_usable_summary(docstring: str) -> None:
    assert split_docstring(docstring) is None


def test_the_embedded_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over json, a package of every Python: same bytes for the same seed, every query in one split, bodies without summaries."""
    monkeypatch.setattr("tandem.corpora.python_api.package_versions", lambda names: dict.fromkeys(names, "1"))
    first, again, other = (
        build_collection(["json", "email"], documents=20, test_queries=5, seed=s, duplicate_groups=duplicate_groups) for s in (1, 1, 2)
    )
    assert first == again != other
    assert (len(first.documents), len(first.train), len(first.test)) == (20, 15, 5)
    assert not {p.query_id for p in first.train} & {p.query_id for p in first.test}
    texts = {document.doc_id: document.text for document in first.documents}
    assert all(pair.text.lower() not in " ".join(texts[pair.doc_id].lower().split()) for pair in [*first.train, *first.test])
    with pytest.raises(ValueError, match=r"test_queries: 20"):
        build_collection(["json"], documents=20, test_queries=20, seed=1, duplicate_groups=duplicate_groups)


def test_near_duplicates() -> None:
    long = "the quick brown fox jumps over the lazy dog and runs far away into the dark green forest at night"
    texts = [long, "something else entirely different from it", long + " again", long.upper(), "something"]
    assert duplicate_groups(texts) == [0, 1, 0, 0, 4]
    grouped = with_groups([Document(doc_id=str(i), text=text) for i, text in enumerate(texts)], threshold=0.8)
    assert [document.group for document in grouped] == ["0", "", "0", "0", ""]


def pair(number: int, query: int | None = None) -> LabelledPair:
    return LabelledPair(query_id=f"q{number if query is None else query}", text=f"text {number}", doc_id=f"d{number}")


def test_the_budget_is_drawn_by_pair_and_never_the_first_rows() -> None:
    pairs = [pair(i, i // 2) for i in range(200)]
    train, dev = sample_pairs(pairs, number=40, dev_share=0.25, seed=1)
    assert len(train) + len(dev) == 40
    assert {p.doc_id for p in [*train, *dev]} != {p.doc_id for p in pairs[:40]}
    assert not {p.query_id for p in train} & {p.query_id for p in dev}
    assert sample_pairs(list(reversed(pairs)), number=40, dev_share=0.25, seed=1) == (train, dev)
    assert sample_pairs(pairs, number=40, dev_share=0.25, seed=2) != (train, dev)
    assert budget(pairs) == {"pairs": 200, "queries": 100}


def test_zero_pairs_and_more_than_there_are() -> None:
    pairs = [pair(i) for i in range(4)]
    assert sample_pairs(pairs, number=0, dev_share=0.25, seed=1) == ([], [])
    train, dev = sample_pairs(pairs, number=99, dev_share=0.25, seed=1)
    assert (len(train), len(dev)) == (3, 1)


def test_training_pairs_of_test_queries_are_dropped() -> None:
    test = [LabelledPair(query_id="t", text="Find  it", doc_id="d")]
    train = [
        LabelledPair(query_id="a", text="find IT", doc_id="e"),
        LabelledPair(query_id="t", text="x", doc_id="e"),
        pair(1),
    ]
    assert without_test_queries(train, test) == [pair(1)]


def beir_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("toy/corpus.jsonl", "".join(f'{{"_id": "d{i}", "title": "t", "text": "text {i}"}}\n' for i in range(3)))
        archive.writestr("toy/queries.jsonl", '{"_id": "q1", "text": "one"}\n{"_id": "q2", "text": "two"}\n')
        archive.writestr("toy/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td0\t1\nq1\td1\t0\n")
        archive.writestr("toy/noise", random.Random(0).randbytes(500_000))  # so that half of it is many blocks
        archive.writestr("toy/qrels/train.tsv", "query-id\tcorpus-id\tscore\nq2\td2\t2\n")
    return content.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server on loopback that honours ranges, and breaks off the first answer in the middle."""
    content, ranges = beir_zip(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ranges.append(self.headers.get("Range", ""))
            start = int(ranges[-1].removeprefix("bytes=").removesuffix("-") or 0) if ranges[-1] else 0
            part = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part[: len(part) // 2] if len(ranges) == 1 else part)

        def log_message(self, *arguments: object) -> None:
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    monkeypatch.setattr(beir, "URL", f"http://127.0.0.1:{httpd.server_port}/{{name}}.zip")
    monkeypatch.setitem(beir.CHECKSUMS, "toy", hashlib.md5(content, usedforsecurity=False).hexdigest())
    yield ranges
    httpd.shutdown()
    httpd.server_close()


def test_a_broken_download_goes_on_where_it_stopped(server: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be fetched"):
        beir.download("toy", tmp_path)
    size = (tmp_path / "toy.zip.part").stat().st_size
    assert size > 0
    folder = beir.download("toy", tmp_path)
    assert server == ["", f"bytes={size}-"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy"]
    collection = beir.load_folder(folder)
    assert [p.doc_id for p in collection.test] == ["d0"]
    assert [(p.doc_id, p.relevance) for p in collection.train] == [("d2", 2)]
    assert beir.download("toy", tmp_path) == folder
    assert len(server) == 2


def test_a_download_with_a_wrong_checksum_is_refused(server: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.append("")  # not the first answer: whole
    monkeypatch.setitem(beir.CHECKSUMS, "toy", "0" * 32)
    with pytest.raises(InputError, match=r"MD5 .* published is 0000"):
        beir.download("toy", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_archive_of_twelve_collections(tmp_path: Path) -> None:
    (tmp_path / "cqadupstack/unix").mkdir(parents=True)
    (tmp_path / "cqadupstack/unix/corpus.jsonl").touch()
    assert beir.download("cqadupstack/unix", tmp_path) == tmp_path / "cqadupstack/unix"
    with pytest.raises(InputError, match=r"name: 'cqadupstack' found; cqadupstack is 12 collections: cqadupstack/android, "):
        beir.download("cqadupstack", tmp_path)
    with pytest.raises(InputError, match="name: 'scifact/unix' is no BEIR data set"):
        beir.download("scifact/unix", tmp_path)


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beir, "URL", "http://127.0.0.1:9/{name}.zip")
    with pytest.raises(InputError, match="without a network, unpack the data set by hand"):
        beir.download("scifact", tmp_path)


def test_a_collection_with_test_judgements_only(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "one"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "what"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    collection = beir.load_folder(tmp_path)
    assert (len(collection.train), len(collection.test)) == (0, 1)


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


def test_manifest(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,text\n1,one\n2,two\n")
    settings = {
        "source": "files",
        "path": str(tmp_path / "d.csv"),
        "packages": [],
        "documents": 1,
        "test_queries": 0,
        "name": "",
    }
    settings |= {"test_split": "test", "pairs": "", "test_share": 0.5, "near_duplicate_queries": None, "seed": 1, "cache": tmp_path}
    collection = load_collection(**settings)  # type: ignore[arg-type]
    manifest = describe(collection, list(collection.documents))
    assert manifest["counts"]["documents"] == 2
    assert len(manifest["sha256"]) == 64
    assert manifest["sources"] == {"files": "d.csv"}


def test_near_duplicates_of_test_queries_leave_training_where_that_is_asked_for() -> None:
    test = [LabelledPair(query_id="t", text="how do I sort a list", doc_id="d")]
    texts = {"a": "how do I sort a list quickly", "b": "How do I sort a list?", "c": "merge two tables"}
    train = [LabelledPair(query_id=name, text=text, doc_id="d") for name, text in texts.items()]
    assert [pair.query_id for pair in without_test_queries(train, test)] == ["a", "b", "c"]
    assert [pair.query_id for pair in without_test_queries(train, test, threshold=0.85)] == ["c"]
    assert [pair.query_id for pair in without_test_queries(train, test, threshold=0.9)] == ["a", "c"]


def test_no_collection_is_an_empty_one(tmp_path: Path) -> None:
    """What prepare_guard takes for `none`."""
    settings = {"source": "none", "packages": [], "documents": 1, "test_queries": 1, "path": "", "name": "", "test_split": "test"}
    more = {"pairs": "", "test_share": 0.5, "near_duplicate_queries": None, "seed": 1, "cache": tmp_path}
    collection = load_collection(**settings, **more)  # type: ignore[arg-type]
    assert [collection.documents, collection.train, collection.test] == [[], [], []]
