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
from tandem.generators.prompts import DEFAULT_TEMPLATE, PromptedSettings, PromptSettings, QueryPrompts
from tandem.generators.requests import RequestSettings, plan_requests
from tandem.interfaces import SamplingSettings
from tandem.llm.causal_lm import load_causal_lm
from tandem.llm.decoding import decode
from tandem.records import document_text

PACKAGES = ["numpy", "scipy", "sklearn", "pandas"]
BATCH, TOKENS, REPEATS = 64, 24, 5


def prompts(queries_per_document: int) -> list[str]:
    """A batch of the quickstart's prompts, sorted as the stage sorts them."""
    collection = build_collection(PACKAGES, documents=300, test_queries=60, seed=1)
    texts = {document.doc_id: document_text(document) for document in collection.documents}
    prompt = PromptSettings(template=DEFAULT_TEMPLATE, document_tokens=64, keywords=3, ignored_words=[])
    settings = RequestSettings(sampled_documents=-(-BATCH // queries_per_document), queries_per_document=queries_per_document)
    requests = plan_requests(texts, settings, PromptedSettings(prompt=prompt, language="english"), prefix="b", seed=1)
    return QueryPrompts(TOKENIZER, prompt).render_requests(requests, texts)[:BATCH]


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
            sampling = SamplingSettings(temperature=0.8, max_new_tokens=TOKENS, **options)

            def theirs(batch: Any = padded, shared: dict[str, Any] = shared) -> Any:
                with torch.inference_mode():
                    return MODEL.generate(**batch, do_sample=True, max_new_tokens=TOKENS, **shared)

            def ours(prompts: Any = ids, sampling: SamplingSettings = sampling) -> Any:
                return decode(MODEL, prompts, sampling, pad_token_id=TOKENIZER.pad_token_id)

            theirs(), ours()
            times = [(seconds(theirs), seconds(ours)) for _ in range(REPEATS)]
            ratio = statistics.median(a / b for a, b in times)
            rates = [BATCH / statistics.median(column) for column in zip(*times, strict=True)]
            print(f"| {per_document} | {name} | {rates[0]:.0f} | {rates[1]:.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    MODEL, TOKENIZER = load_causal_lm("smollm2")
    MODEL.eval()
    main()
