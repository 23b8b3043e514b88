"""Measure the built-in generator on the quickstart's corpus, which it has never seen: round trip by BM25, speed, distinct share."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from settings import read_section

from tandem.corpora.python_api import build_collection
from tandem.evaluation.generators import KS
from tandem.filters.round_trip import Search, ranks_of_pairs
from tandem.generators.prompts import DEFAULT_TEMPLATE, PromptedSettings, PromptSettings, QueryPrompts
from tandem.generators.queries import QuerySettings, complete_requests, mark_unusable, summarise
from tandem.generators.requests import plan_requests
from tandem.llm.causal_lm import CausalLM
from tandem.records import Document, LabelledPair, PseudoQuery, document_text
from tandem.retrievers.bm25 import BM25Index
from tandem.tracking.record import record


def main(argv: list[str] | None = None) -> None:
    """Generate greedily and by sampling for documents of the quickstart, write what share finds its document."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "model", "output", "record"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args(argv)
    options = read_section(arguments.params, "evaluate")
    packages = read_section(arguments.params, "collect_text")["excluded"]
    document_tokens = read_section(arguments.params, "pretrain")["document_tokens"]
    with record("evaluate_builtin", options, arguments.record) as tracked:
        figures = measure(arguments.model, packages, document_tokens, options)
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
        print(json.dumps(figures, indent=1))
        tracked.log({f"{name}/{key}": value for name, own in figures.items() for key, value in own.items()})


def measure(folder: Path, packages: list[str], document_tokens: int, options: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Round trips of the real queries and of the generator's, greedy and sampled, with and without keywords."""
    collection = build_collection(
        packages,
        documents=options["documents"],
        test_queries=options["documents"] // 5,
        seed=options["seed"],
    )
    search = BM25Index({document.doc_id: document_text(document) for document in collection.documents}).search
    result = {"real_queries": round_trip([*collection.train, *collection.test], collection.documents, search)}
    model = CausalLM.load(str(folder), batch_size=options["batch_size"])
    texts = {document.doc_id: document_text(document) for document in collection.documents}
    for name, keywords, temperature in (("greedy", 3, 0.0), ("greedy_without_keywords", 0, 0.0), ("sampled", 3, 0.8)):
        prompt = PromptSettings(template=DEFAULT_TEMPLATE, document_tokens=document_tokens, keywords=keywords, ignored_words=[])
        prompted = PromptedSettings(prompt=prompt, language="english")
        settings = QuerySettings(
            temperature=temperature,
            queries_per_document=1,
            **{key: options[key] for key in ("sampled_documents", "batch_size", "top_k", "top_p", "max_new_tokens")},
        )
        requests = plan_requests(texts, settings, prompted, prefix=name, seed=options["seed"])
        started = time.perf_counter()
        prompts = QueryPrompts(model.tokenizer, prompt)
        written = complete_requests(model, requests, texts, prompts, settings, seed=options["seed"])
        seconds = time.perf_counter() - started
        rows = mark_unusable(requests, written)
        found = round_trip(rows, collection.documents, search)
        result[name] = {**found, "queries_per_second": len(rows) / seconds, **summarise(rows)}
    return result


def round_trip(pairs: Sequence[LabelledPair | PseudoQuery], documents: Sequence[Document], search: Search) -> dict[str, float]:
    """The share of pairs whose document is in BM25's first 1, 10 and 70."""
    ranks = ranks_of_pairs(documents, pairs, search)
    return {f"top_{k}": sum(rank <= k for rank in ranks.values()) / len(pairs) for k in KS}


if __name__ == "__main__":
    main()
