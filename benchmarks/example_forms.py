"""Worked examples as turns of a chat or as text: how often a query finds the document that it was written for, before any training.

python benchmarks/example_forms.py --data FOLDER [--documents 120] [--temperature 0.6]     # FOLDER: a collection in BEIR layout

A query a document and type, by the generator of the profile `no-labels`; prints a Markdown table. `copied` is the share of a query's
content words that its document has. A minute a row on two cores.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ir_measures import ScoredDoc
from ruamel.yaml import YAML

from tandem.corpora.beir import load_folder
from tandem.formats.corpus import Corpus
from tandem.generators.examples import draw_examples
from tandem.generators.keywords import content_words
from tandem.generators.prompts import PromptedSettings, QueryPrompts
from tandem.generators.queries import mark_unusable
from tandem.generators.requests import Request
from tandem.interfaces import SamplingSettings
from tandem.llm.causal_lm import CausalLM, load_causal_lm
from tandem.retrievers.bm25 import BM25Index, BM25Settings
from tandem.retrievers.dense import encode_corpus, load_dense, search
from tandem.runs import rank_results
from tandem.runtime.overlays import render_profile

TYPES = ["question", "claim", "keywords", "title"]


def shares(run: Sequence[ScoredDoc], requests: Sequence[Request]) -> tuple[float, float]:
    """Of all requests, those whose document is first, and within ten."""
    ranked = {query_id: [item.doc_id for item in items] for query_id, items in rank_results(run).items()}
    places = [ranked.get(f"\t{request.query_id}", []) for request in requests]
    number = len(requests)
    first = sum(found[:1] == [request.doc_id] for found, request in zip(places, requests, strict=True))
    return first / number, sum(request.doc_id in found[:10] for found, request in zip(places, requests, strict=True)) / number


def copied(texts: Mapping[str, str], requests: Sequence[Request], corpus: Mapping[str, str]) -> float:
    """The mean share of content words that a query's document has too."""
    values = []
    for request in requests:
        words = content_words(texts.get(request.query_id, ""), "english", [])
        document = set(content_words(corpus[request.doc_id], "english", []))
        if words:
            values.append(sum(word in document for word in words) / len(words))
    return sum(values) / max(len(values), 1)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=120)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--forms", default="text,turns")
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--seed", type=int, default=13)
    words = parser.parse_args(argv)
    params = YAML(typ="safe").load(render_profile(Path("params.yaml").read_text(encoding="utf8"), Path("configs/profiles"), "no-labels"))
    corpus = Corpus.of(load_folder(words.data).documents).texts
    bm25, dense = BM25Index(corpus, BM25Settings(**params["bm25"]), language="english"), load_dense("builtin", max_length=256)
    vectors = encode_corpus(dense, corpus)
    model, tokenizer = load_causal_lm("smollm2")
    generator = CausalLM(model, tokenizer, batch_size=40)
    sampling = SamplingSettings(
        temperature=words.temperature, top_p=0.9, top_k=0, max_new_tokens=params["generate_queries"]["max_new_tokens"]
    )
    chosen = random.Random(f"documents:{words.seed}").sample(sorted(corpus), words.documents)
    print("| examples | type | BM25: first | within 10 | dense: first | within 10 | copied | distinct | s |\n|" + "---|" * 9, flush=True)
    for form in words.forms.split(","):
        for query_type in words.types.split(","):
            examples = {"per_prompt": 3, "form": form, "query_types": [query_type]}
            prompted = PromptedSettings.model_validate({"prompt": {**params["prompt"], "examples": examples}, "language": "english"})
            prompts = QueryPrompts(tokenizer, prompted.prompt, examples=draw_examples(prompted, seed=words.seed))
            requests = [Request(str(number), doc_id, "", query_type) for number, doc_id in enumerate(chosen)]
            began = time.time()
            rendered = prompts.render_requests(requests, corpus)
            completions = generator.complete(rendered, sampling, seed=words.seed, one_line=True, groups=chosen)
            seconds = time.time() - began
            texts = {row.query_id: row.text for row in mark_unusable(requests, [made.text for made in completions]) if row.text}
            queries = {f"\t{query_id}": text for query_id, text in texts.items()}
            numbers = [*shares(bm25.search(queries, depth=10), requests)]
            numbers += [*shares(search(dense, corpus, queries, depth=10, vectors=vectors), requests), copied(texts, requests, corpus)]
            distinct = len(set(texts.values())) / max(len(texts), 1)
            cells = " | ".join(f"{100 * number:.0f} %" for number in (*numbers, distinct))
            print(f"| {form} | {query_type} | {cells} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
