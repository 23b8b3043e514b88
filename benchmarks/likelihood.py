"""What the likelihood of the query adds: the untrained fusion's first documents of a collection, reranked by a language model.

python benchmarks/likelihood.py COLLECTION OUTPUT [model=smollm2] [queries=100] [depth=15] [tokens=160] [type=question] [form=auto]
  [dtype=fp32]

COLLECTION is a folder in BEIR layout, OUTPUT a folder for indexes and scores. It goes on where it was stopped. Queries are drawn by seed
from the test split; weights are fixed ones, so nothing is chosen on it. BM25, all-MiniLM-L6-v2 and the same encoder as an untrained ColBERT
(256 document tokens, 64 query tokens) have a third each. Paired randomisation test over queries, against the fusion.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ir_measures import Qrel

from tandem.corpora.beir import load_folder
from tandem.evaluation.interpolation import interpolate
from tandem.evaluation.measures import per_query
from tandem.evaluation.significance import compare
from tandem.generators.prompt_settings import ExampleSettings, PromptedSettings, PromptSettings
from tandem.generators.query_likelihood import LikelihoodSettings, likelihood_prompts, load_query_likelihood
from tandem.records import document_text
from tandem.rerankers.distillation import ScoreCache
from tandem.rerankers.judge import rerank
from tandem.retrievers.baselines import BaselineSettings, build_baselines
from tandem.retrievers.bm25 import BM25Settings
from tandem.retrievers.hybrid import Hybrid
from tandem.retrievers.index.building import IndexSettings, build_index, open_index
from tandem.retrievers.retriever import Lexical
from tandem.retrievers.settings import RetrieverSettings
from tandem.runs import below
from tandem.runtime.hardware import device_name

SEED = 13
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5)
DEFAULTS = {"model": "smollm2", "queries": "100", "depth": "15", "tokens": "160", "type": "question", "form": "auto", "dtype": "fp32"}


def open_fusion(texts: Mapping[str, str], output: Path) -> Hybrid:
    """The untrained systems, each index built where it is not there yet."""
    start = RetrieverSettings(
        kind="colbert",
        encoder="builtin",
        layers=None,
        dimensions=128,
        query_tokens=64,
        document_tokens=256,
        query_expansion=False,
        markers=False,
        prompts=None,
    )
    bm25 = Lexical(BM25Settings(), "english")
    searchers = {}
    for name, model in build_baselines(bm25, BaselineSettings(dense_max_length=256), start, seed=SEED, device=device_name()).items():
        if not (output / name).exists():
            build_index(model, texts, output / name, IndexSettings(kind="exact"), scratch=output / f"scratch-{name}", seed=SEED)
        searchers[name] = open_index(output / name, output, device=device_name(), model=model)
    return Hybrid(searchers, dict.fromkeys(searchers, 1 / len(searchers)), method="min_max")


def main(collection: Path, output: Path, *words: str) -> None:
    """Score what is not scored yet, and print the table."""
    given = DEFAULTS | dict(word.split("=", 1) for word in words)
    found = load_folder(collection)
    texts = {document.doc_id: document_text(document) for document in found.documents}
    everything = {pair.query_id: pair.text for pair in found.test}
    drawn = random.Random(SEED).sample(sorted(everything), min(int(given["queries"]), len(everything)))
    queries = {name: everything[name] for name in drawn}
    qrels = [Qrel(pair.query_id, pair.doc_id, pair.relevance) for pair in found.test if pair.query_id in queries]
    output.mkdir(parents=True, exist_ok=True)
    run = open_fusion(texts, output).search(queries, depth=100)

    examples = ExampleSettings(per_prompt=3, form=given["form"], query_types=[given["type"]])  # type: ignore[arg-type,list-item]
    shape = PromptSettings(
        template="Document: {document}\nQuery:", document_tokens=int(given["tokens"]), keywords=0, ignored_words=[], examples=examples
    )
    settings = LikelihoodSettings(model=given["model"], document_tokens=None, rerank_depth=int(given["depth"]), batch_size=16)
    prompts = likelihood_prompts(given["model"], settings, PromptedSettings(prompt=shape, language="english"), seed=SEED)
    score = load_query_likelihood(given["model"], prompts, device=device_name(), bf16=given["dtype"] == "bf16")
    identity = json.dumps([given["model"], given["dtype"], prompts.model_dump()])
    cache, before = ScoreCache(output / "scores.jsonl", identity), time.perf_counter()
    known = len(cache.scores)
    scored, first, rest = rerank(lambda pairs: cache.score(pairs, score, chunk=480), run, queries, texts, depth=settings.rerank_depth)
    seconds, new = time.perf_counter() - before, len(cache.scores) - known

    alone = per_query(qrels, run)["ndcg_at_10"]
    print(f"{len(queries)} queries, first {settings.rerank_depth}, {given}")
    if new:
        print(f"{new} pairs in {seconds:.0f} s: {new / seconds:.1f} a second")
    print("| weight | nDCG@10 | against the fusion | p | +/=/- |\n|---|---|---|---|---|")
    print(f"| 0 | {sum(alone.values()) / len(alone):.3f} | | | |")
    for weight in WEIGHTS:
        values = per_query(qrels, below(interpolate(scored, first, weight), rest))["ndcg_at_10"]
        test = compare(alone, values)
        counts = f"{test.wins}/{test.ties}/{test.losses}"
        print(f"| {weight} | {sum(values.values()) / len(values):.3f} | {test.difference:+.3f} | {test.p_randomisation:.3f} | {counts} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
