"""Queries are asked for by one path: seeded, cached by content, killed at any point and finished as if nothing had been."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.jsonl import write_records
from tandem.generators.examples import draw_examples
from tandem.generators.prompts import DEFAULT_TEMPLATE, PromptedSettings, PromptSettings, QueryPrompts
from tandem.generators.queries import GenerationSettings, generate_queries, mark_unusable, summarise
from tandem.generators.requests import Request
from tandem.llm import causal_lm
from tandem.llm.causal_lm import load_causal_lm, save_causal_lm
from tandem.records import Document, PseudoQuery
from tandem.runtime.hardware import Compute

PROMPT: dict[str, Any] = {"template": DEFAULT_TEMPLATE, "document_tokens": 8, "keywords": 2, "ignored_words": []}
SERVED: dict[str, Any] = {"url": "", "model": None, "chat": True, "key_variable": "", "concurrent": 1, "timeout_seconds": 1.0}
SERVED |= {"retries": 0, "price_input": 0.0, "price_output": 0.0}
SETTINGS: dict[str, Any] = {"sampled_documents": 5, "queries_per_document": 2, "batch_size": 4, "backend": "model", "file": None}
SETTINGS |= {"temperature": 1.0, "top_p": 0.9, "top_k": 0, "max_new_tokens": 5, "served": SERVED}


def generated(weights: Path, documents: list[Document], cache: Path, **changes: Any) -> tuple[list[PseudoQuery], dict[str, float]]:
    prompt = {key: changes.pop(key, value) for key, value in PROMPT.items()}
    settings = GenerationSettings.model_validate({**SETTINGS, **changes})
    prompted = PromptedSettings(prompt=PromptSettings.model_validate(prompt), language="english")
    compute = Compute(device="cpu", bf16=False, seed=1, scratch=Path())
    return generate_queries(documents, weights, settings, prompted, prefix="r1", cache=cache, compute=compute)


def test_every_request_gets_its_query(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    rows, counts = generated(tiny_generator, corpus, tmp_path / "cache.jsonl")
    assert [row.query_id for row in rows] == [f"r1-{i}" for i in range(10)]
    assert len({row.doc_id for row in rows}) == 5
    assert counts["requests"] == 10
    assert generated(tiny_generator, corpus, tmp_path / "other.jsonl", batch_size=3)[0] == rows
    assert generated(tiny_generator, corpus, tmp_path / "other.jsonl", temperature=0.5)[0] != rows


def test_a_grown_corpus_pays_for_what_is_new(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    """Without keywords, whose weights are the corpus's; documents keep their draw, and their queries."""
    changes: dict[str, Any] = {"sampled_documents": 9, "keywords": 0}
    before, counts = generated(tiny_generator, corpus, tmp_path / "cache.jsonl", **changes)
    assert (counts["requests"], counts["cached"]) == (12, 0)
    assert counts["prompt_tokens"] > counts["completion_tokens"] > 12
    assert counts["tokens_per_second"] > 0
    again, counts = generated(tiny_generator, corpus, tmp_path / "cache.jsonl", **changes)
    assert again == before
    assert (counts["requests"], counts["cached"]) == (0, 12)
    new = Document(doc_id="a", text="merge the columns of two tables")
    grown, counts = generated(tiny_generator, [new, *corpus], tmp_path / "cache.jsonl", **changes)
    assert (counts["requests"], counts["cached"]) == (2, 12)
    assert {(row.doc_id, row.text) for row in before} < {(row.doc_id, row.text) for row in grown}
    fresh, _ = generated(tiny_generator, [new, *corpus], tmp_path / "other.jsonl", **changes)
    assert fresh == grown


def test_other_weights_in_the_same_folder_are_asked_anew(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    """Keys are of the content, not of the path."""
    model, tokenizer = load_causal_lm(str(tiny_generator))
    save_causal_lm(model, tokenizer, tmp_path / "weights")
    generated(tmp_path / "weights", corpus, tmp_path / "cache.jsonl")
    model.lm_head.weight.data.add_(0.5)
    save_causal_lm(model, tokenizer, tmp_path / "weights")
    assert generated(tmp_path / "weights", corpus, tmp_path / "cache.jsonl")[1]["cached"] == 0


def test_examples_of_the_generator_s_folder(
    tiny_generator: Path, corpus: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    theirs = causal_lm.CausalLM.complete

    def spy(self: Any, prompts: Any, *arguments: Any, **settings: Any) -> Any:
        asked.extend(prompts)
        assert settings["one_line"]
        return theirs(self, prompts, *arguments, **settings)

    monkeypatch.setattr(causal_lm.CausalLM, "complete", spy)
    model, tokenizer = load_causal_lm(str(tiny_generator))
    save_causal_lm(model, tokenizer, tmp_path / "weights")
    examples = {"per_prompt": 2, "query_types": ["keywords", "question"]}
    prompted = PromptedSettings(prompt=PromptSettings.model_validate({**PROMPT, "examples": examples}), language="english")
    drawn = draw_examples(prompted, seed=1)
    QueryPrompts(tokenizer, prompted.prompt, examples=drawn).save(tmp_path / "weights")
    rows, _ = generated(tmp_path / "weights", corpus, tmp_path / "cache.jsonl")
    assert len(rows) == len(asked) == 10
    assert {prompt.count("Query:") for prompt in asked} == {3}
    beginnings = [drawn.by_type[query_type][0].query for query_type in ("keywords", "question")]
    assert [sum(query in prompt for prompt in asked) for query in beginnings] == [5, 5]


def write_rows(weights: Path, folder: Path) -> None:
    documents = [Document(doc_id=f"d{i}", text=f"sort the rows of table {i} by the values of column {i % 7}") for i in range(60)]
    rows, _ = generated(weights, documents, folder / "cache.jsonl", sampled_documents=60)
    write_records(folder / "rows.jsonl", rows)


def test_a_kill_at_any_point_leaves_the_rows_of_a_whole_run(tiny_generator: Path, tmp_path: Path) -> None:
    """kill -9 at five moments of generation, each on the remains of the last; then to the end: the same bytes, no batch made twice."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tandem.generators.queries"])

    def start(folder: Path) -> Any:
        folder.mkdir(exist_ok=True)
        process = context.Process(target=write_rows, args=(tiny_generator, folder))
        process.start()
        return process

    def batches(folder: Path) -> int:
        path = folder / "cache.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    seen = []
    for least in (1, 3, 4, 9, 15):
        process = start(tmp_path / "killed")
        while process.is_alive() and batches(tmp_path / "killed") < least:
            time.sleep(0.0005)
        process.kill()
        process.join()
        seen.append(batches(tmp_path / "killed"))
    assert not (tmp_path / "killed/rows.jsonl").exists()
    assert 0 < seen[0] < seen[-1] < 30
    for name in ("whole", "killed"):
        process = start(tmp_path / name)
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "killed/rows.jsonl").read_bytes() == (tmp_path / "whole/rows.jsonl").read_bytes()
    assert batches(tmp_path / "killed") == batches(tmp_path / "whole") == 30


def test_unusable_rows_are_marked_and_kept() -> None:
    requests = [Request(f"{i}", "d", "a b") for i in range(5)]
    rows = mark_unusable(requests, ["find rows", "Find  rows", "", "Document: x", "a b"])
    assert [row.reason for row in rows] == ["", "duplicate", "empty", "copy", "copy"]
    assert summarise(rows)["usable"] == 1
    with pytest.raises(ValueError, match="shorter"):
        mark_unusable([Request("9", "d", "")], [])
