"""Prompts side by side: worked examples against fine-tuning, by how often a query finds the document that it was written for.

python benchmarks/generator_prompts.py [NAME ...]     # after `make run`, in its folder; minutes a row; prints a Markdown table
"""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from stages.evaluate_generators import Params as TrialParams
from stages.train_generator import Params
from tandem.evaluation.generators import compare_generators
from tandem.filters.round_trip import ranks_of_pairs
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.generators.examples import draw_examples
from tandem.generators.prompts import PromptedSettings, QueryPrompts
from tandem.generators.sft import fine_tune_on_pairs
from tandem.generators.trial import write_trials
from tandem.llm.causal_lm import end_at_line_breaks, load_causal_lm, save_causal_lm
from tandem.records import LabelledPair
from tandem.retrievers.index.building import open_index
from tandem.runtime.hardware import Compute, device_name, use_bf16
from tandem.runtime.params import load_params

OUTPUT = Path(".scratch/generator_prompts")
TYPES = ["question", "claim", "keywords", "title"]
# Examples, their types, passes of fine-tuning over the labelled pairs (0: none), and its learning rate.
VARIANTS: dict[str, tuple[int, list[str], int, float]] = {
    "3 examples, questions": (3, ["question"], 0, 0.0),
    "3 examples, labelled": (3, ["labelled"], 0, 0.0),
    "3 examples, four types": (3, TYPES, 0, 0.0),
    "fine-tuned, 1 pass": (0, ["question"], 1, 2e-4),
    "fine-tuned, 2 passes": (0, ["question"], 2, 2e-4),
    "fine-tuned, 2 passes at 5e-4": (0, ["question"], 2, 5e-4),
    "fine-tuned, 1 pass, 3 labelled examples": (3, ["labelled"], 1, 2e-4),
}


def make(folder: Path, variant: tuple[int, list[str], int, float], corpus: Corpus, pairs: list[LabelledPair], compute: Compute) -> Any:
    """Write a generator as a variant has it; the settings of its prompts."""
    params: Params = load_params(Path("params.yaml"), "train_generator", Params)
    count, types, epochs, rate = variant
    values = params.model_dump(include={"prompt", "language"})
    values["prompt"]["examples"] = {"per_prompt": count, "query_types": types}
    prompted = PromptedSettings.model_validate(values)
    if epochs:
        settings = params.model_copy(update={"epochs": float(epochs), "learning_rate": rate})
        fine_tune_on_pairs(corpus, pairs, [], folder, settings, base=params.base, prompted=prompted, compute=compute)
        return prompted
    model, tokenizer = load_causal_lm(params.base)
    prompts = QueryPrompts(tokenizer, prompted.prompt, examples=draw_examples(prompted, pairs, corpus.texts, seed=compute.seed))
    end_at_line_breaks(model, tokenizer)
    save_causal_lm(model, tokenizer, folder)
    prompts.save(folder)
    return prompted


def main(names: list[str]) -> None:
    """A row for each variant, over the same documents with the same keywords."""
    corpus, trial = Corpus(Path("out/data/corpus.jsonl")), load_params(Path("params.yaml"), "evaluate_generators", TrialParams)
    train, dev = (read_records(Path(f"out/data/pairs/{name}.jsonl"), LabelledPair) for name in ("train", "dev"))
    seen = {pair.doc_id for pair in [*train, *dev]}
    device, bf16 = device_name(), use_bf16(trial.precision)
    unseen = open_index(Path("out/indexes/dense"), Path("out/models/baselines/dense/weights"), device=device)
    searches = {"unseen": unseen, "rewarded": open_index(Path("out/indexes/bm25"))}
    ranks = {name: partial(ranks_of_pairs, corpus, search=partial(index.search, depth=100)) for name, index in searches.items()}
    print(
        "| generator | dense: first | within 10 | BM25: first | within 10 | words | copied | distinct | make, s | sample, s | for example |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in names or VARIANTS:
        shutil.rmtree(OUTPUT, ignore_errors=True)
        folder, started = OUTPUT / "model", time.perf_counter()
        folder.mkdir(parents=True)
        compute = Compute(device, bf16, trial.seed, OUTPUT / "scratch")
        prompted = make(folder, VARIANTS[name], corpus, train, compute)
        made = time.perf_counter()
        rows = write_trials({name: str(folder)}, corpus, trial, prompted, seen=seen, compute=compute)
        sampled = time.perf_counter()
        table, _ = compare_generators(rows, dev if name == "3 examples, questions" else [], ranks, corpus.texts, parents={}, settings=trial)
        for row in table:
            shares = [row.unseen_top[1], row.unseen_top[10], row.top[1], row.top[10]]
            told = [f"{share:.1%}" for share in shares] + [f"{row.mean_words:.1f}", f"{row.copied_share:.0%}", f"{row.distinct_share:.0%}"]
            examples = "; ".join(query.text for query in rows[name][:60:20])
            print(f"| {row.generator} | {' | '.join(told)} | {made - started:.0f} | {sampled - made:.0f} | {examples} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
