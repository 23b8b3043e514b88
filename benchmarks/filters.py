"""What each filter is worth: the same retriever, start and optimiser steps, on what each chain of filters leaves of a file of queries.

python benchmarks/filters.py COLLECTION QUERIES OUTPUT [dense=3] [colbert=3]      # an hour and a half on two cores for msmarco-7k

It goes on where it was stopped. The last words are retrievers with numbers of seeds.

COLLECTION is a folder in BEIR layout, QUERIES a JSONL of {text, doc_id}, OUTPUT a folder for models, values by query and table.md. Chains:
none, bm25 (the document in the first 20), + dense, + relevance (a cross-encoder of three layers trained on 100 labelled pairs; the top
80 %), + LossNet (the top 40 %), the exact loss in its place, and as many random ones of all queries. Tests: paired by query, values
averaged over the seeds, Holm-corrected within a retriever.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from ir_measures import Qrel

from tandem.corpora.beir import load_folder
from tandem.corpora.few_shot import BudgetSettings, sample_pairs
from tandem.corpora.near_duplicates import with_groups
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.measures import per_query
from tandem.evaluation.ranking import row_values
from tandem.evaluation.significance import compare, holm
from tandem.filters.chain import ChainSettings, Rule, filter_rows
from tandem.filters.informative import SelectionSettings, informative_queries
from tandem.filters.relevance import RelevanceSettings
from tandem.formats.corpus import Corpus
from tandem.generators.imported import import_queries
from tandem.generators.queries import mark_unusable
from tandem.generators.requests import Request, RequestSettings
from tandem.records import PseudoQuery, document_text
from tandem.rerankers.candidates import build_rows, queries_of, relevant_of
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.ranking_data import label_documents
from tandem.rerankers.reranker import Reranker
from tandem.rerankers.training import RankingSettings, ScheduleSettings, train_reranker
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.dense import load_dense
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.hard_negatives import WindowSettings, mine_negatives
from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index
from tandem.retrievers.query_loss import QueryLoss, QueryLossSettings
from tandem.retrievers.retriever import build_retriever, search
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.filter_encoder import FilterEncoderSettings, train_filter_encoder
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import ContrastiveSettings, train_retriever
from tandem.runtime.hardware import Compute

SEEDS = 3
STEPS, BATCH, TOKENS = 24, 64, 64
KINDS: dict[str, dict[str, Any]] = {
    "colbert": {"learning_rate": 1e-4, "temperature": 1.0},
    "dense": {"learning_rate": 1e-4, "temperature": 0.05},
}
WORDS = {"min_words": 1, "max_words": 64}
LOSS_NET = {"objective": "margin", "epochs": 10, "batch_size": 32, "learning_rate": 1e-3}


class Study:
    """The collection, what was made of it so far, and where it is kept."""

    def __init__(self, collection: Path, queries: Path, output: Path) -> None:
        found = load_folder(collection)
        self.output = output
        self.corpus = with_groups(found.documents, threshold=0.8)
        self.texts = {document.doc_id: document_text(document) for document in self.corpus}
        self.train, self.dev = sample_pairs(found.train, BudgetSettings(pairs=100, dev_share=0.25, seed=1))
        self.tests = {pair.query_id: pair.text for pair in found.test}
        self.qrels = [Qrel(pair.query_id, pair.doc_id, pair.relevance) for pair in found.test]
        everything = RequestSettings(sampled_documents=10**9, queries_per_document=10**9)
        imported = import_queries(queries, self.corpus, everything, seed=1)
        requests = [Request(f"q-{i}", doc_id, "") for i, (doc_id, _) in enumerate(imported)]
        self.rows = mark_unusable(requests, [text for _, text in imported])

    def retriever(self, kind: str) -> Any:
        """The first two layers of the built-in encoder."""
        shape: dict[str, Any] = {"layers": 2, "dimensions": 128, "query_tokens": 32, "document_tokens": TOKENS, "prompts": None}
        settings = RetrieverSettings(kind=kind, encoder="builtin", **shape, query_expansion=False, markers=False)  # type: ignore[arg-type]
        return build_retriever(settings, seed=1, device="cpu")

    def measure(self, model: Any) -> dict[str, float]:
        """nDCG@10 of each test query."""
        return per_query(self.qrels, search(model, self.texts, self.tests, depth=10))["ndcg_at_10"]

    def judge(self) -> Any:
        """The cross-encoder of the relevance filter."""
        folder = self.output / "relevance"
        if not (folder / "pair_format.json").exists():
            index, groups = BM25Index(self.texts).search, Corpus.of(self.corpus).groups
            window = WindowSettings(rank_start=1, rank_end=30, negatives_per_query=6, relative_margin=None)
            mined = [
                mine_negatives(relevant_of(pairs), index(queries_of(pairs), depth=80), groups, window, seed=1)
                for pairs in (self.train, self.dev)
            ]
            rows, dev = (
                [label_documents(row) for row in build_rows(pairs, negatives, self.texts)]
                for pairs, (negatives, _) in zip((self.train, self.dev), mined, strict=True)
            )
            reranker = Reranker("builtin", PairFormat(kind="encoder", max_length=96, max_query_length=32), layers=3, new_head=True, seed=1)
            steps: dict[str, Any] = {"steps": 60, "batch_size": 4, "learning_rate": 1e-4}
            train_reranker(
                reranker,
                rows,
                RankingSettings(loss="point_ce", documents_per_query=6, lora=None, **steps),
                ScheduleSettings(warmup_ratio=0.1, evaluations=1, patience=None),
                dev_score=lambda model: row_values(dev, model.compute_score)["ndcg_at_10"],
                compute=Compute("cpu", bf16=False, seed=1, scratch=self.output / "scratch-relevance"),
            )
            folder.mkdir(parents=True)
            reranker.save(folder)
        return Reranker(str(folder)).compute_score

    def filtered(self) -> dict[str, list[PseudoQuery]]:
        """Rows after no filter, BM25, dense and relevance; only kept ones."""
        encoder, index = self.output / "encoder", self.output / "index"
        if not index.exists():
            steps: dict[str, Any] = {"steps": 5, "batch_size": 16, "learning_rate": 2e-5, "warmup_ratio": 0.1, "evaluations": 1}
            shape: dict[str, Any] = {"encoder": "builtin", "layers": None, "max_length": TOKENS, "prompts": None}
            settings = FilterEncoderSettings(negatives=0, temperature=0.05, dev_documents=50, **steps, **shape)
            compute = Compute("cpu", bf16=False, seed=1, scratch=self.output / "scratch-encoder")
            train_filter_encoder(self.corpus, self.train, self.dev, encoder, settings, measure=ndcg_at_10, compute=compute)
            build_index(
                load_dense(str(encoder)), self.texts, index, IndexSettings(kind="exact"), scratch=self.output / "scratch-index", seed=1
            )
        searchers = {"bm25": BM25Index(self.texts), "dense": VectorIndex(index, encoder)}
        runs = FilterRuns(self.corpus, searchers, depth=100, seed=1)
        bm25, dense = Rule(run="bm25", k=20), Rule(run="dense", k=20)
        chains: dict[str, dict[str, Any]] = {
            "none": {"rules": []},
            "bm25": {"rules": [bm25]},
            "+ dense": {"rules": [bm25, dense]},
            "+ relevance": {"rules": [bm25, dense], "judge": self.judge(), "relevance": RelevanceSettings(top_share=0.8)},
        }
        kept = {}
        for name, chain in chains.items():
            settings = ChainSettings(rules=chain.pop("rules"), **WORDS)
            kept[name] = [row for row in filter_rows(self.rows, self.corpus, runs.search, settings, **chain)[0] if row.status == "kept"]
        return kept

    def chosen(self, kind: str, chains: dict[str, list[PseudoQuery]]) -> tuple[dict[str, list[PseudoQuery]], dict[str, float]]:
        """The chains with LossNet, exact losses and random ones of LossNet's size; and how well LossNet ranks."""
        loss_settings = QueryLossSettings(negatives=16, temperature=KINDS[kind]["temperature"])
        loss = QueryLoss(self.retriever(kind), BM25Index(self.texts), self.corpus, loss_settings, seed=1)
        shared: dict[str, Any] = {"sample": 10**9, "drop_share": 0.02, "queries_per_document": 2, "min_spearman": -1.0, **LOSS_NET}
        result, quality = dict(chains), {}
        for name, mode in (("+ LossNet", "predicted"), ("+ exact loss", "exact")):
            settings = SelectionSettings(mode=mode, top_share=0.4, **shared)  # type: ignore[arg-type]
            rows, measures = informative_queries(chains["+ relevance"], loss, settings, seed=1)
            result[name] = [row for row in rows if row.status == "kept"]
            quality |= measures
        share = len(result["+ LossNet"]) / len(chains["none"])
        settings = SelectionSettings(mode="random", top_share=share, **shared)
        rows, _ = informative_queries(chains["none"], loss, settings, seed=1)
        return {**result, "random": [row for row in rows if row.status == "kept"]}, quality

    def train_and_measure(self, kind: str, rows: list[PseudoQuery], seed: int) -> dict[str, float]:
        """nDCG@10 of each test query after the same number of steps on these queries."""
        model, later = self.retriever(kind), count()
        train_retriever(
            model,
            TrainingData([(row.text, row.doc_id) for row in rows], self.corpus),
            ContrastiveSettings(steps=STEPS, batch_size=BATCH, negatives=0, warmup_ratio=0.1, **KINDS[kind]),
            evaluations=1,
            dev_score=lambda _: [float(next(later))],  # the last step is measured, whatever it is
            compute=Compute("cpu", bf16=False, seed=seed, scratch=self.output / f"scratch-{kind}-{time.time_ns()}"),
        )
        return self.measure(model)


def table(values: dict[str, dict[str, float]], sizes: dict[str, int], zero_shot: dict[str, float]) -> str:
    """Rows of the table of one retriever; ``values`` are means over seeds, by query."""
    lines = [f"| zero-shot | | {np.mean(list(zero_shot.values())):.3f} | | | | |"]
    tests = {}
    for baseline in ("none", "random"):
        found = {name: compare(values[baseline], own) for name, own in values.items() if name != baseline}
        corrected = dict(zip(found, holm([test.p_randomisation for test in found.values()]), strict=True))
        tests[baseline] = {name: f"{test.difference:+.3f} | {corrected[name]:.3f}" for name, test in found.items()}
    for name, own in values.items():
        cells = [tests[baseline].get(name, " | ") for baseline in ("none", "random")]
        lines.append(f"| {name} | {sizes[name]} | {np.mean(list(own.values())):.3f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(collection: Path, queries: Path, output: Path, *wanted: str) -> None:
    """Run what is not there yet and print the tables."""
    output.mkdir(parents=True, exist_ok=True)
    study, values_file = Study(collection, queries, output), output / "values.json"
    values: dict[str, dict[str, float]] = json.loads(values_file.read_text()) if values_file.exists() else {}
    chains, parts = study.filtered(), []
    numbers = {kind: int(number) for kind, number in (word.split("=") for word in wanted)} or dict.fromkeys(KINDS, SEEDS)
    for kind, number in numbers.items():
        own, quality = study.chosen(kind, chains)
        if f"{kind}/zero" not in values:
            values[f"{kind}/zero"] = study.measure(study.retriever(kind))
        for seed in range(1, number + 1):
            for name, rows in own.items():
                key = f"{kind}/{name}/{seed}"
                if key not in values:
                    started = time.time()
                    values[key] = study.train_and_measure(kind, rows, seed)
                    values_file.write_text(json.dumps(values))
                    print(key, len(rows), f"{np.mean(list(values[key].values())):.4f}", f"{time.time() - started:.0f} s", flush=True)
        means = {
            name: {q: float(np.mean([values[f"{kind}/{name}/{seed}"][q] for seed in range(1, number + 1)])) for q in study.tests}
            for name in own
        }
        head = (
            f"{kind}, {number} seeds: LossNet's held-out Spearman {quality['spearman']:.2f}, pairs in order {quality['pair_accuracy']:.2f}"
        )
        columns = "| filter | queries | nDCG@10 | against none | p | against random | p |\n|---|---|---|---|---|---|---|"
        sizes = {name: len(rows) for name, rows in own.items()}
        parts.append(f"{head}\n\n{columns}\n{table(means, sizes, values[f'{kind}/zero'])}\n")
        (output / "table.md").write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]), *sys.argv[4:])
