"""Prompts, keywords, cleaning, sampling and fine-tuning on a tiny real architecture."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.formats.jsonl import write_records
from tandem.formats.texts import texts_of
from tandem.generators.base import load_generator, resolve_generator
from tandem.generators.keywords import content_words, document_frequencies, draw_keywords
from tandem.generators.parsing import clean_query
from tandem.generators.prompts import DEFAULT_TEMPLATE, render_prompts, truncate_documents
from tandem.generators.reward_model import fit_reward_model, load_reward_model, pair_accuracy, reward_function
from tandem.generators.sampling import mark_unusable, plan_prompts, plan_requests, sample_queries, sample_rows, summarise
from tandem.generators.sft import fine_tune_on_pairs, supervised_rows
from tandem.records import Document, LabelledPair, PreferencePair, document_text
from tandem.runtime.lora import adapter_config, merge_adapter

LORA = {"lora_rank": 4, "lora_alpha": 8, "lora_dropout": 0.0}


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


def test_supervised_rows_offer_words_that_both_have(tiny_tokenizer: Any) -> None:
    rows = supervised_rows(
        [("sort the rows of a table", "order a table")] * 20,
        tiny_tokenizer,
        {"": 2},
        template="{keywords}|{document}",
        max_document_tokens=9,
        max_keywords=2,
        seed=1,
    )
    assert {row["prompt"] for row in rows} == {"|sort the rows of a table", "table|sort the rows of a table"}
    assert rows[0]["completion"] == " order a table"


@pytest.fixture
def fitted(tiny_generator: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> Any:
    def fit(train: list[LabelledPair], folder: Path, scratch: Path) -> Any:
        return fine_tune_on_pairs(
            corpus,
            train,
            pairs[4:] if train else [],
            folder,
            base=str(tiny_generator),
            template=DEFAULT_TEMPLATE,
            document_tokens=16,
            keywords=2,
            device="cpu",
            seed=1,
            epochs=15,
            batch_size=2,
            learning_rate=1e-2,
            **LORA,
            scratch=scratch,
            bf16=False,
        )

    return fit


def test_fine_tuning_learns_and_merges(fitted: Any, pairs: list[LabelledPair], tmp_path: Path) -> None:
    result = fitted(pairs[:4], tmp_path / "model", tmp_path / "scratch")
    assert result.loss[-1][1] < result.loss[0][1] / 2
    assert result.merge_difference < 1e-3
    assert len(result.dev_loss) == 15
    model, tokenizer = load_generator(str(tmp_path / "model"))
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_with_no_pairs_the_generator_stays_as_it_is(fitted: Any, tiny_generator: Path, tmp_path: Path) -> None:
    result = fitted([], tmp_path / "model", tmp_path / "scratch")
    assert result.loss == []
    for left, right in zip(
        load_generator(str(tmp_path / "model"))[0].parameters(),
        load_generator(str(tiny_generator))[0].parameters(),
        strict=True,
    ):
        torch.testing.assert_close(left, right)


def test_an_untrained_adapter_is_refused(tiny_generator: Path) -> None:
    from peft import get_peft_model

    model, tokenizer = load_generator(str(tiny_generator))
    adapted = get_peft_model(model, adapter_config(rank=2, alpha=4, dropout=0.0))
    with pytest.raises(RuntimeError, match="adapter is what it was before"):
        merge_adapter(adapted, dict(tokenizer(["sort"], return_tensors="pt")))


def test_pad_is_never_the_end_token(tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "padless"
    shutil.copytree(tiny_generator, folder)
    tokenizer = tiny_tokenizer.__class__.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    _, loaded = load_generator(str(folder))
    assert loaded.pad_token_id != loaded.eos_token_id


PREFERENCES = [
    PreferencePair(doc_id=doc_id, chosen=chosen, rejected=rejected, kind="valid_over_invalid")
    for doc_id, chosen, rejected in [
        ("sort", "order a table", "a line chart"),
        ("mean", "average of an array", "a line on axes"),
        ("join", "merge two tables", "two line axes"),
        ("solve", "solve linear equations", "a line of axes"),
    ]
] * 6


def test_reward_model_learns_gates_and_reloads(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    texts = {document.doc_id: document.text for document in corpus}
    settings: dict[str, Any] = {"template": DEFAULT_TEMPLATE, "document_tokens": 16, "device": "cpu", **LORA}
    settings |= {
        "epochs": 8,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "center_coefficient": 0.01,
        "bf16": False,
        "seed": 1,
    }
    held_out = [PreferencePair(doc_id="parse", chosen="order a table", rejected="a line chart", kind="hard_over_easy")]
    folder, scratch = tmp_path / "reward", tmp_path / "scratch"
    loss, gate = fit_reward_model(
        tiny_generator,
        PREFERENCES,
        held_out,
        texts,
        folder,
        min_accuracy=0.9,
        min_pairs=5,
        scratch=scratch,
        **settings,
    )
    assert loss[-1][1] < loss[0][1]
    assert gate["passed"]
    assert gate["accuracy_hard_over_easy"] == 1.0
    _, tokenizer = load_generator(str(tiny_generator))
    reward = reward_function(load_reward_model(str(folder), tokenizer), tokenizer, template=DEFAULT_TEMPLATE, max_document_tokens=16)
    together = reward([texts["sort"]] * 2, ["order a table", "a line chart"])
    alone = [reward([texts["sort"]], [query])[0] for query in ("order a table", "a line chart")]
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[0] > together[1]


def test_the_gate_stays_shut(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    texts = {document.doc_id: document.text for document in corpus}
    settings: dict[str, Any] = {
        "template": DEFAULT_TEMPLATE,
        "document_tokens": 16,
        "device": "cpu",
        **LORA,
        "scratch": tmp_path / "s",
    }
    settings |= {
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": 1e-4,
        "center_coefficient": 0.0,
        "bf16": False,
        "seed": 1,
    }
    for number, minimum in ((3, 0.0), (24, 1.1)):
        _, gate = fit_reward_model(
            tiny_generator,
            PREFERENCES[:number],
            PREFERENCES[:2],
            texts,
            tmp_path / f"{number}",
            min_accuracy=minimum,
            min_pairs=5,
            **settings,
        )
        assert not gate["passed"]


def test_the_same_seed_gives_the_same_reward_model(tiny_generator: Path, corpus: list[Document], tmp_path: Path) -> None:
    """Its head is new and random: drawn before the seed was set, it once differed from run to run."""
    texts = {document.doc_id: document.text for document in corpus}
    settings: dict[str, Any] = {"template": DEFAULT_TEMPLATE, "document_tokens": 16, "device": "cpu", **LORA, "bf16": False, "seed": 1}
    settings |= {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "center_coefficient": 0.0, "min_accuracy": 0.0}
    for name in ("first", "second"):
        torch.rand(7)  # whatever was drawn before
        scratch, folder = tmp_path / f"scratch-{name}", tmp_path / name
        fit_reward_model(tiny_generator, PREFERENCES, PREFERENCES[:2], texts, folder, min_pairs=5, scratch=scratch, **settings)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second


def test_pair_accuracy_counts_ties_a_half() -> None:
    accuracy = pair_accuracy(PREFERENCES[:2], {"sort": "", "mean": ""}, lambda _, queries: [0.0] * len(queries))
    assert accuracy["accuracy"] == 0.5
    assert pair_accuracy([], {}, lambda _, queries: [0.0] * len(queries)) == {}


def test_unknown_builtin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tandem.generators.base.BUILTIN", tmp_path)
    with pytest.raises(FileNotFoundError, match="pretraining"):
        resolve_generator("builtin")
    assert resolve_generator("Qwen/Qwen2.5-0.5B-Instruct") == "Qwen/Qwen2.5-0.5B-Instruct"
