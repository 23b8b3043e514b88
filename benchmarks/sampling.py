"""Side by side: `generate` of transformers and our decoding, the same prompts and settings, as a ratio of queries a second.

python benchmarks/sampling.py        # a minute; prints a Markdown table
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from tandem.corpora.python_api import build_collection
from tandem.generators.base import load_generator
from tandem.generators.decoding import decode
from tandem.generators.prompts import DEFAULT_TEMPLATE
from tandem.generators.sampling import plan_prompts

PACKAGES = ["numpy", "scipy", "sklearn", "pandas"]
BATCH, TOKENS, REPEATS = 64, 24, 5


def prompts(queries_per_document: int) -> list[str]:
    """A batch of the quickstart's prompts, sorted as the stage sorts them."""
    collection = build_collection(PACKAGES, documents=300, test_queries=60, seed=1)
    settings: dict[str, Any] = {"template": DEFAULT_TEMPLATE, "document_tokens": 64, "keywords": 3, "seed": 1}
    number = -(-BATCH // queries_per_document)
    requests, texts = plan_prompts(
        collection.documents,
        TOKENIZER,
        prefix="b",
        sampled_documents=number,
        queries_per_document=queries_per_document,
        **settings,
    )
    return [texts[query_id] for query_id, _, _ in requests][:BATCH]


def seconds(call: Callable[[], Any]) -> float:
    """Of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Take turns, so that noise hits both, and print the median ratio."""
    print("| queries a document | sampling | generate, queries/s | ours, queries/s | ratio |")
    print("|---|---|---|---|---|")
    for per_document in (1, 3):
        texts = prompts(per_document)
        padded, ids = TOKENIZER(texts, return_tensors="pt", padding=True), TOKENIZER(texts)["input_ids"]
        for name, options in (("T .8, top-k 64, top-p .9", {"top_k": 64, "top_p": 0.9}), ("T .8", {"top_k": 0, "top_p": 1.0})):
            shared: dict[str, Any] = {"temperature": 0.8, "pad_token_id": TOKENIZER.pad_token_id, **options}

            def theirs(batch: Any = padded, shared: dict[str, Any] = shared) -> Any:
                with torch.inference_mode():
                    return MODEL.generate(**batch, do_sample=True, max_new_tokens=TOKENS, **shared)

            def ours(prompts: Any = ids, shared: dict[str, Any] = shared) -> Any:
                return decode(MODEL, prompts, max_new_tokens=TOKENS, **shared)

            theirs(), ours()
            times = [(seconds(theirs), seconds(ours)) for _ in range(REPEATS)]
            ratio = statistics.median(a / b for a, b in times)
            rates = [BATCH / statistics.median(column) for column in zip(*times, strict=True)]
            print(f"| {per_document} | {name} | {rates[0]:.0f} | {rates[1]:.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    MODEL, TOKENIZER = load_generator("builtin")
    MODEL.eval()
    main()
