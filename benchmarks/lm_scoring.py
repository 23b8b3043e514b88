"""Side by side: teacher scores in batches, and one call of the model a pair, as a ratio of pairs a second; and that the scores agree.

python benchmarks/lm_scoring.py [model=smollm2] [package=scipy] [rows=2] [keys=6] [tokens=64] [batch=6] [dtype=fp32]   # about a minute

Rows are made of a package's docstrings: the query is an object's name, the answers are sentences of its docstring, the keys are docstrings.
With one answer a row nothing is shared by pairs but their batch; with three, the prompt of each key is.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from tandem.corpora.python_api import build_collection
from tandem.feedback.teacher import LikelihoodSettings, load_teacher, score_rows
from tandem.llm.likelihood import split_tokens
from tandem.llm.likelihood_cache import LikelihoodCache
from tandem.llm.task_prompts import TaskPrompts, TaskRequest
from tandem.records import Document, TaskRow
from tandem.runtime.hardware import device_name

SEED = 13
DEFAULTS = {"model": "smollm2", "package": "scipy", "rows": "2", "keys": "6", "tokens": "64", "batch": "6", "dtype": "fp32"}
TOLERANCE = {"fp32": 1e-4, "bf16": 0.1}


def docstring_rows(documents: Sequence[Document], rows: int, keys: int, answers: int) -> list[TaskRow]:
    """Questions with a docstring that answers each, and others that do not."""
    rng = random.Random(SEED)
    sentences = {document.doc_id: [part.strip() for part in document.text.split(". ") if len(part.split()) > 3] for document in documents}
    asked = rng.sample([document for document in documents if len(sentences[document.doc_id]) >= 3], rows)
    made = []
    for document in asked:
        others = rng.sample([other.text for other in documents if other.doc_id != document.doc_id], keys - 1)
        query = f"What does {document.title or document.doc_id} do?"
        chosen = [f"{sentence}." for sentence in sentences[document.doc_id][:answers]]
        made.append(TaskRow(query_id=document.doc_id, task="qa", query=query, pos=[document.text], neg=others, answers=chosen))
    return made


@torch.inference_mode()
def one_call_a_pair(model: Any, rows: list[TaskRow], settings: LikelihoodSettings) -> list[float]:
    """Each row's scores from a whole forward pass a pair."""
    prompts, scores = TaskPrompts(model, settings), []
    for row in rows:
        for key in (*row.pos, *row.neg):
            means = []
            for answer in row.answers:
                (made,) = prompts.render([TaskRequest(row.task, key, row.query, answer)])
                (before,), (after,) = split_tokens([made.prompt], [made.completion], model.tokenizer)
                logits = model.model(torch.tensor([before + after], device=model.model.device)).logits[0, len(before) - 1 : -1]
                means.append(logits.float().log_softmax(-1).gather(1, torch.tensor(after, device=logits.device)[:, None]).mean().item())
            scores.append(max(means))
    return scores


def main(*words: str) -> None:
    """Measure both with one answer and with three, and print the table."""
    given = DEFAULTS | dict(word.split("=", 1) for word in words)
    settings = LikelihoodSettings(
        reduction="mean",
        answers="max",
        batch_size=int(given["batch"]),
        key_tokens=int(given["tokens"]),
        query_tokens=32,
        answer_tokens=32,
        max_length=int(given["tokens"]) + 96,
    )
    documents = build_collection([given["package"]], documents=300, test_queries=20, seed=SEED).documents
    model = load_teacher(given["model"], settings, device=device_name(), bf16=given["dtype"] == "bf16")
    score_rows(docstring_rows(documents, 1, 2, 1), model, settings)  # warms up
    print(f"{given}\n\n| answers | pairs | one call a pair, pairs/s | in batches, pairs/s | ratio | largest difference |")
    print("|---|---|---|---|---|---|", flush=True)
    for answers in (1, 3):
        rows = docstring_rows(documents, int(given["rows"]), int(given["keys"]), answers)
        model.likelihoods = LikelihoodCache()
        started = time.perf_counter()
        scored = score_rows(rows, model, settings)
        middle = time.perf_counter()
        alone = one_call_a_pair(model, rows, settings)
        seconds = (time.perf_counter() - middle, middle - started)
        together = [score for row in scored.rows for score in row.teacher_scores or []]
        difference = max(abs(a - b) for a, b in zip(together, alone, strict=True))
        rates = [scored.counts["pairs"] / taken for taken in seconds]
        print(
            f"| {answers} | {scored.counts['pairs']} | {rates[0]:.2f} | {rates[1]:.2f} | {rates[1] / rates[0]:.1f} | {difference:.0e} |",
            flush=True,
        )
        if difference > TOLERANCE[given["dtype"]]:
            raise SystemExit(f"scores differ by {difference:.2g}, allowed: {TOLERANCE[given['dtype']]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
