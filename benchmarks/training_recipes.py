"""Recipes of training a retriever on generated queries: what they gain over the untrained one, alone, merged with it, and fused.

python benchmarks/training_recipes.py --data FOLDER --queries FILE --seeds 1,2,3          # contrastive, with masks; a word changes a value:
  mine_negatives.teach=fusion "train_retriever.distillation={distillation: kl, contrastive_weight: 0.1, teacher_temperature: 0.15}"

FOLDER is a collection in BEIR layout, FILE a JSONL of {query_id, text, doc_id}. Values are those of params.yaml with RECIPE over them, then
the words `section.key=value`. No labelled pair is used. Queries are filtered by the untrained fused run; one query of each of
`--held-out` documents, which training does not see, is measured beside the test queries: recipes and shares are chosen there, test values
are for the documentation. A merge is measured for each of `--shares` (of the trained weights), whatever train_retriever.merge says.
Untrained models, indexes and runs are kept in `--scratch`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from ir_measures import Qrel, ScoredDoc
from ruamel.yaml import YAML

from tandem.corpora.beir import load_folder
from tandem.corpora.near_duplicates import with_groups
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.measures import per_query
from tandem.evaluation.significance import compare
from tandem.filters.chain import FilterSettings, filter_rows
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_json_lines
from tandem.records import LabelledPair, PseudoQuery
from tandem.retrievers.baselines import BaselineSettings, build_baselines
from tandem.retrievers.bm25 import BM25Settings
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.hard_negatives import WHOLE_RUN, MiningSettings, mine_rows
from tandem.retrievers.hybrid import FusedRun, FusedRunSettings
from tandem.retrievers.index.building import IndexSettings, build_index, open_index
from tandem.retrievers.retriever import Lexical, build_retriever, load_retriever, save_retriever
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.system import BASELINES, model_folder, round_source
from tandem.retrievers.training.merge import average_weights, choose_share, copy_weights
from tandem.retrievers.training.rounds import RoundData, RoundSettings, train_round
from tandem.runs import fuse_runs
from tandem.runtime.hardware import Compute, device_name, use_bf16

YAML_FILE = YAML(typ="safe")
RECIPE = """
retriever: {query_tokens: 64, document_tokens: 256}
build_baselines: {dense_max_length: 256}
filter_queries: {rules: [{run: fusion, k: 10}]}
mine_negatives: {run: fusion, rank_start: 1, rank_end: 40, negatives_per_query: 40, relative_margin: null, mask_above: 0.6}
train_retriever: {steps: 100, batch_size: 8, negatives: 5, top_negatives: 3, learning_rate: 4.0e-5, training_document_tokens: 128,
  evaluations: 1, queries_per_document: 3, dev_documents: 300, merge: 1.0}
"""
Values = dict[str, dict[str, float]]  # by measure and query


class Remembered:
    """A search whose results are kept in a file, by the text of a query."""

    def __init__(self, search: FusedRun, file: Path) -> None:
        self.search_anew, self.file = search, file
        self.known: dict[str, list[tuple[str, float]]] = orjson.loads(file.read_bytes()) if file.exists() else {}

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank the corpus for each query."""
        new = {text: text for text in queries.values() if text not in self.known}
        if new:
            named = {f"\t{i}": text for i, text in enumerate(new)}
            self.known |= {text: [] for text in new}
            for item in self.search_anew.search(named, depth=WHOLE_RUN):
                self.known[named[item.query_id]].append((item.doc_id, item.score))
            self.file.write_bytes(orjson.dumps(self.known))
        return [ScoredDoc(name, *result) for name, text in queries.items() for result in self.known[text][:depth]]


class Study:
    """A collection, settings, and what was made of them so far, in a folder that is the current one."""

    def __init__(self, data: Path, queries: Path, params: dict[str, Any], *, held_out: int) -> None:
        found = load_folder(data)
        self.params, self.start = params, RetrieverSettings(**params["retriever"])
        self.corpus = with_groups(found.documents, threshold=0.8)
        self.rows = [PseudoQuery(query_id=row["query_id"], text=row["text"], doc_id=row["doc_id"]) for _, row in read_json_lines(queries)]
        self.held_out = held_out
        self.test = [Qrel(pair.query_id, pair.doc_id, pair.relevance) for pair in found.test]
        self.texts = {pair.query_id: pair.text for pair in found.test}
        self.runs: dict[str, list[ScoredDoc]] = {}
        self.trained = ("colbert", "dense") if self.start.kind == "both" else (self.start.kind,)

    def prepare(self, seed: int) -> None:
        """The untrained retrievers and their indexes; a ColBERT's projection differs by seed."""
        baselines = build_baselines(
            Lexical(BM25Settings(**self.params["bm25"]), self.params["language"]),
            BaselineSettings(**self.params["build_baselines"]),
            self.start,
            seed=seed,
            device=device_name(),
        )
        start = build_retriever(self.start, seed=seed, device=device_name())
        for name, model in {**baselines, f"start-{seed}": start}.items():
            if not Path(f"out/indexes/{name}").exists():
                self.index(model, name)

    def index(self, model: Any, name: str) -> None:
        """Write a retriever and its index to where a pipeline has them."""
        for folder in (Path(model_folder(name)), Path(f"out/indexes/{name}"), Path("scratch")):
            shutil.rmtree(folder, ignore_errors=True)
        save_retriever(model, Path(model_folder(name)) / "weights")
        build_index(
            model, Corpus.of(self.corpus).texts, Path(f"out/indexes/{name}"), IndexSettings(kind="exact"), scratch=Path("scratch"), seed=1
        )

    def measure(self, source: str, held: Sequence[PseudoQuery]) -> dict[str, dict[str, Values]]:
        """Values on test and held-out queries of a retriever alone (of kind both, of either head) and in the fusion."""
        queries = self.texts | {row.query_id: row.text for row in held}
        names = {name: round_source(name, source, kind=self.start.kind) for name in BASELINES}
        for name in names.values():
            if name not in self.runs or name.startswith(("start", "trial")):
                weights = None if name == "bm25" else Path(model_folder(name)) / "weights"
                opened = open_index(Path(f"out/indexes/{name}"), weights, device=device_name())
                self.runs[name] = list(opened.search(queries, depth=100))
        arms = {kind: self.runs[name] for kind, name in names.items() if kind in self.params["fusion"]["arms"]}
        systems = {**arms, "fusion": fuse_runs(arms, dict.fromkeys(arms, 1.0), method="min_max")}
        qrels = {"test": self.test, "held out": [Qrel(row.query_id, row.doc_id, 1) for row in held]}
        return {name: {which: per_query(judged, run) for which, judged in qrels.items()} for name, run in systems.items()}

    def train(self, seed: int, shares: Sequence[float]) -> dict[str, dict[str, Values]]:
        """Filter, mine, train; values of untrained systems, and of the trained one at each share of its weights."""
        self.prepare(seed)
        self.runs.clear()  # each seed holds out queries of its own
        settings = FusedRunSettings(arms=self.params["fusion"]["arms"], teacher_round="previous")
        fused = FusedRun(settings, kind=self.start.kind, previous=f"start-{seed}", device=device_name())
        searchers = {"fusion": Remembered(fused, Path(f"fused-{seed}.json")), "bm25": open_index(Path("out/indexes/bm25"))}
        runs = FilterRuns(self.corpus, searchers, depth=100, seed=seed)
        chain = FilterSettings(**{key: self.params["filter_queries"][key] for key in FilterSettings.model_fields})
        kept = [row for row in filter_rows(self.rows, self.corpus, runs.search, chain)[0] if row.status == "kept"]
        kept, held = self.part(kept)
        mining = MiningSettings(**self.params["mine_negatives"])
        mined, counts = mine_rows(kept, self.corpus, runs.search, mining, judge=lambda: None, seed=seed)
        print(f"seed {seed}: {len(self.rows)} queries, {len(kept)} kept to train on, {len(held)} held out; {counts}", flush=True)
        values = self.measure(f"start-{seed}", held)
        scratch, began = Path(f"scratch-{seed}"), time.time()
        shutil.rmtree(scratch, ignore_errors=True)
        (scratch / "weights").mkdir(parents=True)
        compute = Compute(device_name(), use_bf16(self.params["precision"]), seed, scratch)
        dev = [LabelledPair(query_id=row.query_id, text=row.text, doc_id=row.doc_id) for row in held]
        data = RoundData(self.corpus, [], dev, [kept], mined)
        recipe = RoundSettings(**self.params["train_retriever"])
        trained, sizes = train_round(data, scratch / "weights", recipe, self.start, measure=ndcg_at_10, compute=compute)
        print(f"{time.time() - began:.0f} s; loss {trained.loss}; dev {trained.dev}; step {trained.best_step}; {sizes}", flush=True)
        start = copy_weights(build_retriever(self.start, seed=seed, device=device_name()))
        model: Any = load_retriever(scratch / "weights", device=device_name())
        weights = copy_weights(model)
        for share in shares:
            model.load_state_dict(average_weights(start, weights, share))
            self.index(model, "trial")
            measured = self.measure("trial", held)
            values |= {f"{name} {share:g}": measured[name] for name in (*self.trained, "fusion")}
        alone = self.trained[0]
        by_share = {0.0: values[alone]} | {share: values[f"{alone} {share:g}"] for share in shares}
        if 0.5 in shares:
            on_held_out = {
                share: [value for _, value in sorted(found["held out"]["ndcg_at_10"].items())] for share, found in by_share.items()
            }
            print(f"seed {seed}: held-out queries choose a share of {choose_share(on_held_out):g}", flush=True)
        return values

    def part(self, kept: Sequence[PseudoQuery]) -> tuple[list[PseudoQuery], list[PseudoQuery]]:
        """Queries to train on, and one of each of the held-out documents."""
        rng = random.Random("held out")
        doc_ids = sorted({row.doc_id for row in kept})
        left_out = set(rng.sample(doc_ids, min(self.held_out, len(doc_ids) // 5)))
        one = {row.doc_id: row for row in kept if row.doc_id in left_out}
        return [row for row in kept if row.doc_id not in left_out], list(one.values())


def table(by_seed: Sequence[dict[str, dict[str, Values]]]) -> str:
    """A row a system, means over seeds; differences to the untrained retriever or fusion, paired by query."""

    def mean(system: str, which: str, measure: str) -> dict[str, float]:
        found = [values[system][which][measure] for values in by_seed]
        shared = set(found[0]).intersection(*found)  # what is held out may differ by seed
        return {query: sum(values[query] for values in found) / len(found) for query in shared}

    lines = ["| system | nDCG@10 | R@100 | difference | p | held out nDCG@10 | difference | p |", "|---|---|---|---|---|---|---|---|"]
    for system in by_seed[0]:
        cells = []
        for which in ("test", "held out"):
            untrained = system.split()[0]
            values, against = mean(system, which, "ndcg_at_10"), mean(untrained, which, "ndcg_at_10")
            recall = [mean(system, which, "recall_at_100")] if which == "test" else []
            test = compare(against, values)
            cells += [f"{sum(cell.values()) / max(len(cell), 1):.3f}" for cell in (values, *recall)]
            cells += [f"{test.difference:+.3f}", f"{test.p_randomisation:.3f}"] if " " in system else ["", ""]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Train with each seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--shares", default="1,0.75,0.5,0.25")
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--scratch", type=Path, default=Path(".scratch/training_recipes"))
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    words = parser.parse_args(argv)
    params = YAML_FILE.load(Path("params.yaml").read_text(encoding="utf8"))
    for changes in (YAML_FILE.load(RECIPE), *map(override, words.overrides)):
        put(params, changes)
    untrained = [params[key] for key in ("retriever", "build_baselines", "bm25", "language")]
    digest = hashlib.sha256(orjson.dumps(untrained) + (words.data / "corpus.jsonl").read_bytes()).hexdigest()[:12]
    data, queries = words.data.absolute(), words.queries.absolute()
    folder = words.scratch / f"{words.data.name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    study = Study(data, queries, params, held_out=words.held_out)
    by_seed = [study.train(int(seed), [float(share) for share in words.shares.split(",")]) for seed in words.seeds.split(",")]
    print(table(by_seed))


def override(word: str) -> dict[str, Any]:
    """``a.b=1`` as a nested map."""
    key, _, value = word.partition("=")
    changes: Any = YAML_FILE.load(value)
    for name in reversed(key.split(".")):
        changes = {name: changes}
    return changes  # type: ignore[no-any-return]


def put(params: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change values of params.yaml; an unknown key is an error of the settings that read it."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(params.get(key), dict):
            put(params[key], value)
        else:
            params[key] = value


if __name__ == "__main__":
    main()
