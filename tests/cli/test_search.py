"""What `tandem search` finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import TEXTS
from makers import retriever_settings
from typer.testing import CliRunner

from tandem.cli import main as cli
from tandem.cli.search import open_champion
from tandem.formats.jsonl import write_records
from tandem.generators.examples import NO_EXAMPLES
from tandem.generators.query_likelihood import LikelihoodPrompts, load_query_likelihood
from tandem.records import Document
from tandem.rerankers.reranked import RerankerSystem
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.retriever import save_retriever
from tandem.retrievers.system import describe_system

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


def test_the_champion_is_searched_with_the_reranker_that_won_over_it(
    tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arm is expanded BM25, the reranker a likelihood alone: the first two are in its order, and a third keeps its place."""
    monkeypatch.chdir(tmp_path)
    BM25Index(TEXTS).save(Path("out/indexes/expanded/r1"))
    system = describe_system("fusion-r1", {"expanded": "expanded/r1"}, {"expanded": 1.0}, "min_max")
    prompts = LikelihoodPrompts(template="Document: {document} Query:", document_tokens=8, examples=NO_EXAMPLES, batch_size=2)
    reranker = RerankerSystem(
        scorer="likelihood", weights=str(tiny_generator), rerank_depth=2, settings=prompts.model_dump(), retriever="fusion-r1", weight=1.0
    )
    Path("out/report").mkdir()
    Path("out/report/champions.json").write_text(json.dumps({"retriever": {"system": system.model_dump()}}))
    query = "the values of a table"
    alone = [item.doc_id for item in open_champion(TEXTS, device="cpu").search({"q": query}, depth=3)]
    score = load_query_likelihood(str(tiny_generator), prompts)
    likely = sorted(alone[:2], key=lambda doc_id: -score([(query, TEXTS[doc_id])])[0])
    Path("out/report/reranker.json").write_text(json.dumps({"champion": "likelihood", "system": reranker.model_dump()}))
    assert [item.doc_id for item in open_champion(TEXTS, device="cpu").search({"q": query}, depth=3)] == [*likely, *alone[2:]]
    other = reranker.model_copy(update={"retriever": "fusion"})
    Path("out/report/reranker.json").write_text(json.dumps({"champion": "likelihood", "system": other.model_dump()}))
    assert [item.doc_id for item in open_champion(TEXTS, device="cpu").search({"q": query}, depth=3)] == alone
