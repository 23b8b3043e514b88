"""What `tandem search` finds."""

from __future__ import annotations

from pathlib import Path

from makers import retriever_settings
from typer.testing import CliRunner

from tandem.cli import main as cli
from tandem.formats.jsonl import write_records
from tandem.records import Document
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.retriever import save_retriever

RUN = CliRunner()


def test_search(tiny_encoder: Path, corpus: list[Document], tmp_path: Path) -> None:
    write_records(tmp_path / "corpus.jsonl", corpus)
    save_retriever(build_colbert(retriever_settings(tiny_encoder, query_tokens=32, document_tokens=180)), tmp_path / "m")
    arguments = [
        "search",
        corpus[0].text,
        "--model",
        str(tmp_path / "m"),
        "--corpus",
        str(tmp_path / "corpus.jsonl"),
        "--number",
        "2",
    ]
    result = RUN.invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    (first,) = (line for line in result.stdout.splitlines() if line.startswith(" 1  "))
    assert first.split()[-1] == "sort"
