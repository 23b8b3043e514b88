"""BEIR data sets: downloaded, checked, unpacked, read."""

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
from tandem.formats.errors import InputError
from tandem.settings import SettingError


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
            rest = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: len(rest) // 2] if len(ranges) == 1 else rest)

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
    with pytest.raises(SettingError, match=r"name: 'cqadupstack' found; cqadupstack is 12 collections: cqadupstack/android, "):
        beir.download("cqadupstack", tmp_path)
    with pytest.raises(SettingError, match="name: 'scifact/unix' is no BEIR data set"):
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
