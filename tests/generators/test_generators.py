"""Prompts, keywords, cleaning and sampling on a tiny real architecture."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.jsonl import write_records
from tandem.formats.texts import texts_of
from tandem.generators.base import load_generator, resolve_generator
from tandem.generators.keywords import content_words, document_frequencies, draw_keywords
from tandem.generators.parsing import clean_query
from tandem.generators.prompts import DEFAULT_TEMPLATE, render_prompts, truncate_documents
from tandem.generators.sampling import mark_unusable, plan_prompts, plan_requests, sample_queries, sample_rows, summarise
from tandem.records import Document, document_text


def test_the_document_is_cut_and_nothing_else(tiny_tokenizer: Any) -> None:
    text = "sort the rows of a table in ascending order"
    assert truncate_documents([text, "sort"], tiny_tokenizer, 3) == ["sort the rows", "sort"]
    (prompt,) = render_prompts([text], ["table"], tiny_tokenizer, template=DEFAULT_TEMPLATE, max_document_tokens=2)
    assert prompt == "Document: sort the\nKeywords: table\nQuery:"


def test_a_template_without_document_is_refused(tiny_tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"prompt.template: 'Query:'"):
        render_prompts(["a"], [""], tiny_tokenizer, template="Query:", max_document_tokens=2)


def test_a_chat_template_is_used_where_there_is_one(tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    monkeypatch.setattr(tiny_tokenizer, "chat_template", chat, raising=False)
    (prompt,) = render_prompts(["sort"], [""], tiny_tokenizer, template="About {document}:", max_document_tokens=2)
    assert prompt == "[user]About sort:[assistant]"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (" find rows \nDocument: more", "find rows"),
        ("\n\nQuery: find   rows", "find rows"),
        ('"find rows"', "find rows"),
        ("", ""),
        (" \n ", ""),
        ("one two three four", "one two"),
    ],
)
def test_clean_query(text: str, query: str) -> None:
    assert clean_query(text, max_words=2) == query


def test_keywords_prefer_rare_words() -> None:
    texts = ["table rows shared"] * 99 + ["table zygote shared"]
    frequencies = document_frequencies(texts)
    assert frequencies["table"] == 100
    rng = random.Random(0)
    drawn = Counter(w for _ in range(200) for w in draw_keywords(["table", "zygote", "shared"], frequencies, number=1, rng=rng))
    assert drawn["zygote"] > 150
    assert draw_keywords(["zygote", "table"], frequencies, number=5, rng=rng) == ["zygote", "table"]
    assert draw_keywords(["zygote"], frequencies, number=0, rng=rng) == []
    text = "The Parameters of a Fourier transform, array_like"
    assert content_words(text) == ["parameters", "fourier", "transform", "array_like"]
    assert content_words(text, ignored=["parameters", "array_like"]) == ["fourier", "transform"]


PLAN: dict[str, Any] = {
    "prefix": "r1",
    "sampled_documents": 5,
    "queries_per_document": 2,
    "template": DEFAULT_TEMPLATE,
    "document_tokens": 8,
    "keywords": 2,
    "seed": 1,
}
SAMPLING: dict[str, Any] = {"batch_size": 4, "temperature": 1.0, "top_p": 0.9, "top_k": 0, "max_new_tokens": 5, "seed": 7}


def test_sampling_is_seeded_and_complete(tiny_generator: Path, corpus: list[Document]) -> None:
    model, tokenizer = load_generator(str(tiny_generator))
    requests, prompts = plan_prompts(texts_of(corpus), tokenizer, **PLAN)
    assert len(requests) == 10
    assert len({doc_id for _, doc_id, _ in requests}) == 5

    def sample(**changes: Any) -> dict[str, str]:
        batches = sample_queries(model, tokenizer, prompts, **{**SAMPLING, **changes})
        return {query_id: answer.text for batch in batches for query_id, answer in batch.items()}

    whole = sample()
    assert set(whole) == set(prompts)
    assert sample() == whole
    assert sample(batch_size=3) == whole
    assert {**sample(part=(0, 2)), **sample(part=(1, 2))} == whole
    assert not set(sample(part=(0, 2))) & set(sample(part=(1, 2)))
    assert sample(seed=8) != whole


def sampled(weights: Path, documents: list[Document], cache: Path, **changes: Any) -> tuple[list[Any], dict[str, float]]:
    return sample_rows(weights, documents, plan={**PLAN, **changes}, sampling=SAMPLING, cache=cache, identity="tiny", device="cpu")


def test_a_grown_corpus_pays_for_what_is_new(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    """Without keywords, whose weights are the corpus's; documents keep their draw, and their queries."""
    own: dict[str, Any] = {"sampled_documents": 9, "keywords": 0}
    before, counts = sampled(tiny_generator, corpus, tmp_path / "answers.jsonl", **own)
    assert (counts["requests"], counts["cached"]) == (12, 0)
    assert counts["prompt_tokens"] > counts["completion_tokens"] > 12
    assert counts["tokens_per_second"] > 0
    again, counts = sampled(tiny_generator, corpus, tmp_path / "answers.jsonl", **own)
    assert again == before
    assert (counts["requests"], counts["cached"]) == (0, 12)
    new = Document(doc_id="a", text="merge the columns of two tables")
    grown, counts = sampled(tiny_generator, [new, *corpus], tmp_path / "answers.jsonl", **own)
    assert (counts["requests"], counts["cached"]) == (2, 12)
    assert {(row.doc_id, row.text) for row in before} < {(row.doc_id, row.text) for row in grown}
    fresh, _ = sampled(tiny_generator, [new, *corpus], tmp_path / "other.jsonl", **own)
    assert fresh == grown


def test_documents_are_drawn_by_their_own_ids(corpus: list[Document]) -> None:
    plan: dict[str, Any] = {"prefix": "r1", "sampled_documents": 3, "queries_per_document": 1, "max_keywords": 2, "seed": 1}
    frequencies = document_frequencies(document_text(document) for document in corpus)
    chosen = {doc_id: words for _, doc_id, words in plan_requests(texts_of(corpus), frequencies, **plan)}
    backwards = {doc_id: words for _, doc_id, words in plan_requests(texts_of(corpus[::-1]), frequencies, **plan)}
    assert chosen == backwards
    fewer = plan_requests(texts_of([d for d in corpus if d.doc_id in chosen]), frequencies, **plan)
    assert {doc_id: words for _, doc_id, words in fewer} == chosen
    assert {doc_id for _, doc_id, _ in plan_requests(texts_of(corpus), frequencies, **{**plan, "seed": 3})} != set(chosen)


def write_rows(weights: Path, folder: Path) -> None:
    documents = [Document(doc_id=f"d{i}", text=f"sort the rows of table {i} by the values of column {i % 7}") for i in range(60)]
    rows, _ = sampled(weights, documents, folder / "answers.jsonl", sampled_documents=60)
    write_records(folder / "rows.jsonl", rows)


def test_a_kill_at_any_point_leaves_the_rows_of_a_whole_run(tiny_generator: Path, tmp_path: Path) -> None:
    """kill -9 at five moments of generation, each on the remains of the last; then to the end: the same bytes, no batch made twice."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tandem.generators.sampling"])

    def start(folder: Path) -> Any:
        folder.mkdir(exist_ok=True)
        process = context.Process(target=write_rows, args=(tiny_generator, folder))
        process.start()
        return process

    def batches(folder: Path) -> int:
        path = folder / "answers.jsonl"
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
    requests = [(f"{i}", "d", "a b") for i in range(5)]
    texts = ["find rows", "Find  rows", "", "Document: x", "a b"]
    rows = mark_unusable(requests, dict(zip("01234", texts, strict=True)))
    assert [row.reason for row in rows] == ["", "duplicate", "empty", "copy", "copy"]
    assert summarise(rows)["usable"] == 1
    with pytest.raises(ValueError, match="never generated"):
        mark_unusable([("9", "d", "")], {})


def test_pad_is_never_the_end_token(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "padless"
    shutil.copytree(tiny_generator, folder)
    tokenizer = tiny_tokenizer.__class__.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    _, loaded = load_generator(str(folder))
    assert loaded.pad_token_id != loaded.eos_token_id


def test_unknown_builtin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tandem.generators.base.BUILTIN", tmp_path)
    with pytest.raises(FileNotFoundError, match="pretraining"):
        resolve_generator("builtin")
    assert resolve_generator("Qwen/Qwen2.5-0.5B-Instruct") == "Qwen/Qwen2.5-0.5B-Instruct"
