"""`tandem serve` as a process: it listens, answers, and ends well when it is told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from makers import retriever_settings
from typer.testing import CliRunner

from tandem.cli import main as cli
from tandem.formats.jsonl import write_records
from tandem.records import Document
from tandem.retrievers.retriever import build_retriever, save_retriever

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(240)
def test_it_serves_until_it_is_told_to_stop(tiny_encoder: Path, corpus: list[Document], tmp_path: Path) -> None:
    write_records(tmp_path / "corpus.jsonl", corpus)
    save_retriever(build_retriever(retriever_settings(tiny_encoder, kind="dense"), seed=1, device="cpu"), tmp_path / "weights")
    port = str(20_000 + os.getpid() % 20_000)
    command = [sys.executable, "-m", "tandem.cli.main", "serve", "--port", port]
    command += ["--model", str(tmp_path / "weights"), "--corpus", str(tmp_path / "corpus.jsonl")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    environment.pop("TANDEM_API_KEY", None)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert re.match(rf"{len(corpus)} documents at http://127\.0\.0\.1:{port}/", line), line
            reply = read(f"http://127.0.0.1:{port}/search?q=sort%20rows&number=2")
            assert '"rank":1' in reply
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def read(url: str) -> str:
    """The server says that it is there a moment before it listens."""
    import time

    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=30) as reply:
                return str(reply.read().decode())
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not listen")


def test_others_reach_it_with_a_key_alone(corpus: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TANDEM_API_KEY", raising=False)
    write_records(tmp_path / "corpus.jsonl", corpus)
    result = CliRunner().invoke(cli.app, ["serve", "--host", "0.0.0.0", "--corpus", str(tmp_path / "corpus.jsonl")])
    assert isinstance(result.exception, ValueError)
    assert "set the environment variable TANDEM_API_KEY" in str(result.exception)
