"""A large corpus on a small machine: BM25, encoding to disk, PLAID, HNSW and IVF-PQ; seconds, memory, recall against exact search.

python benchmarks/large_corpus.py OUTPUT [200000]        # an hour on two cores; goes on where it was stopped; prints a Markdown table

Documents are made up: words of the built-in encoder's vocabulary, Zipf-distributed within topics, lengths log-normal about 40 words.
A query is five words of a document. Every step is a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tandem.formats.jsonl import read_records
from tandem.records import Document
from tandem.runtime.encoders import resolve_encoder

SEED, QUERIES, DEPTH = 1, 200, 100
SHAPE: dict[str, Any] = {"layers": 2, "dimensions": 32, "query_tokens": 16, "document_tokens": 64, "query_expansion": False}


def vocabulary() -> list[str]:
    """Whole words of four letters and more."""
    words = json.loads((Path(resolve_encoder("builtin")) / "tokenizer.json").read_text())["model"]["vocab"]
    return sorted(word for word in words if word.isalpha() and word.isascii() and len(word) > 3)


def make_corpus(output: Path, number: int) -> dict[str, float]:
    """Documents and queries; a document mixes two of 500 topics, each an order of its own over the vocabulary."""
    random, words = np.random.default_rng(SEED), np.array(vocabulary())
    chances = 1 / np.arange(1, len(words) + 1)
    ends = np.cumsum(chances / chances.sum())
    orders = [random.permutation(len(words)) for _ in range(500)]
    lengths = np.clip(random.lognormal(np.log(40), 0.5, number), 8, 200).astype(int)
    wanted = set(random.choice(number, QUERIES, replace=False).tolist())
    queries = {}
    with (output / "corpus.draft").open("w") as file:
        for i in range(number):
            topics = random.integers(0, 500, 2)
            ranks = np.minimum(np.searchsorted(ends, random.random(lengths[i])), len(words) - 1)
            sides = random.integers(0, 2, lengths[i])
            text = [str(words[orders[topics[side]][rank]]) for rank, side in zip(ranks, sides, strict=True)]
            file.write(json.dumps({"doc_id": f"d{i}", "text": " ".join(text)}) + "\n")
            if i in wanted:
                queries[f"d{i}"] = " ".join(random.choice(sorted(set(text)), min(5, len(set(text))), replace=False))
    (output / "corpus.draft").replace(output / "corpus.jsonl")
    (output / "queries.json").write_text(json.dumps(queries))
    return {"documents": number, "words": int(lengths.sum())}


def documents(output: Path) -> dict[str, str]:
    """Text by doc_id."""
    return {document.doc_id: document.text for document in read_records(output / "corpus.jsonl", Document)}


def queries(output: Path) -> dict[str, str]:
    """Text by the doc_id of the document that it was taken from."""
    found: dict[str, str] = json.loads((output / "queries.json").read_text())
    return found


def filter_by_bm25(output: Path, _: int) -> dict[str, float]:
    """The filter's search: how many queries bring their document back within 20."""
    from tandem.retrievers.bm25 import BM25Index

    texts = documents(output)
    started = time.perf_counter()
    index = BM25Index(texts)
    built, started = time.perf_counter() - started, time.perf_counter()
    run = index.search(queries(output), depth=20)
    seconds = time.perf_counter() - started
    kept = sum(item.doc_id == item.query_id for item in run) / QUERIES
    return {"build_seconds": built, "queries_per_second": QUERIES / seconds, "kept": kept}


def indexed(kind: str, index: str, **own: float) -> Callable[[Path, int], dict[str, float]]:
    """A step that searches an index with a retriever of a kind; vectors and index are made where they are not there yet."""

    def step(output: Path, _: int) -> dict[str, float]:
        from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index
        from tandem.retrievers.retriever import build_retriever, save_retriever
        from tandem.retrievers.settings import RetrieverSettings

        start = RetrieverSettings(kind=kind, encoder="builtin", markers=False, prompts=None, **SHAPE)  # type: ignore[arg-type]
        model = build_retriever(start, seed=SEED, device="cpu")
        engine = {"plaid" if index == "plaid" else "faiss": own}
        settings = IndexSettings(kind=index, shard_documents=10_000, **engine)  # type: ignore[arg-type]
        folder = output / f"{kind}-{index}-{'-'.join(map(str, own.values()))}"
        started = time.perf_counter()
        build_index(model, documents(output), folder, settings, scratch=output / "scratch", seed=SEED)
        built = time.perf_counter() - started
        save_retriever(model, output / f"{kind}-weights")
        opened, started = VectorIndex(folder, output / f"{kind}-weights"), time.perf_counter()
        opened.search(queries(output), depth=DEPTH)
        measures = {"build_seconds": built, "queries_per_second": QUERIES / (time.perf_counter() - started)}
        return measures | {name.removeprefix("index/"): value for name, value in opened.measure(queries(output), depth=DEPTH).items()}

    return step


STEPS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "corpus": make_corpus,
    "bm25": filter_by_bm25,
    "colbert, exact": indexed("colbert", "exact"),
    "colbert, plaid": indexed("colbert", "plaid"),
    "colbert, plaid, wider": indexed("colbert", "plaid", cells=8, threshold=0.2, candidates=8192),
    "dense, exact": indexed("dense", "exact"),
    "dense, hnsw": indexed("dense", "hnsw"),
    "dense, ivf_pq": indexed("dense", "ivf_pq"),
    "dense, ivf_pq, wider": indexed("dense", "ivf_pq", probes=256, sub_vectors=192),
}
COLUMNS = ("build_seconds", "queries_per_second", "recall_at_10", "recall_at_100", "kept", "peak_gib")


def rows(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """A Markdown table; encoding counts where it was done."""
    yield f"| step | {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * (len(COLUMNS) + 1)
    for name, values in found.items():
        yield f"| {name} | {' | '.join(f'{values[key]:.3g}' if key in values else '' for key in COLUMNS)} |"


def main(output: Path, number: int, step: str = "") -> None:
    """Run the steps that have no figures yet, each in a process of its own."""
    output.mkdir(parents=True, exist_ok=True)
    figures = output / "figures.json"
    found: dict[str, dict[str, float]] = json.loads(figures.read_text()) if figures.exists() else {}
    if step:
        values = STEPS[step](output, number)
        values["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        figures.write_text(json.dumps({**found, step: values}, indent=1))
        return
    for name in STEPS:
        if name not in found:
            subprocess.run([sys.executable, __file__, str(output), str(number), name], check=True)
    print("\n".join(rows(json.loads(figures.read_text()))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200_000, *sys.argv[3:])
