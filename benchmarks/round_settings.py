"""Settings of train_retriever side by side, measured on the training pairs that the labelled budget left out; test queries are not read.

python benchmarks/round_settings.py "" "r1,r2" "r1,r2 labelled_copies=2 steps=32"      # after `make run`, in its folder; a minute each

A setting is the rounds whose kept queries are trained on (none: labelled pairs alone), then values of train_retriever that differ from
params.yaml. The first is what the others are tested against, paired by query.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.significance import compare
from tandem.formats.jsonl import read_records
from tandem.records import Document, LabelledPair, PseudoQuery, document_text
from tandem.retrievers.retriever import load_retriever, search
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.rounds import RoundData, RoundSettings, train_round
from tandem.runtime.hardware import Compute

YAML_FILE = YAML(typ="safe")
PARAMS: dict[str, Any] = YAML_FILE.load(Path("params.yaml").read_text(encoding="utf8"))


def values_of(setting: str) -> dict[str, float]:
    """nDCG@10 of each left-out query after training with a setting."""
    words = setting.split()
    rounds = words.pop(0).split(",") if words and "=" not in words[0] else []
    changes = {key: YAML_FILE.load(value) for key, value in (word.split("=") for word in words)}
    corpus = read_records(Path("out/data/corpus.jsonl"), Document)
    train, dev = (read_records(Path(f"out/data/pairs/{name}.jsonl"), LabelledPair) for name in ("train", "dev"))
    used = {pair.query_id for pair in (*train, *dev)}
    left = [pair for pair in read_records(Path("out/data/train.jsonl"), LabelledPair) if pair.query_id not in used]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "weights").mkdir()
        kept = [read_records(Path(f"out/rounds/{round_id}/selected.jsonl"), PseudoQuery) for round_id in rounds]
        settings, start = RoundSettings(**{**PARAMS["train_retriever"], **changes}), RetrieverSettings(**PARAMS["retriever"])
        data, compute = RoundData(corpus, train, dev, kept), Compute("cpu", bf16=False, seed=PARAMS["seed"], scratch=folder)
        train_round(data, folder / "weights", settings, start, measure=ndcg_at_10, compute=compute)
        texts = {document.doc_id: document_text(document) for document in corpus}
        found = search(load_retriever(folder / "weights"), texts, {pair.query_id: pair.text for pair in left}, depth=10)
    return dict(zip(sorted({pair.query_id for pair in left}), ndcg_at_10([(p.query_id, p.doc_id) for p in left], found), strict=True))


def main(settings: list[str]) -> None:
    """Print a row a setting."""
    baseline: dict[str, float] | None = None
    for setting in settings:
        values = values_of(setting)
        line = f"| {setting or 'labelled pairs alone'} | {sum(values.values()) / len(values):.4f} |"
        if baseline is not None:
            test = compare(baseline, values)
            line += f" {test.difference:+.4f} | {test.p_randomisation:.3f} |"
        baseline = baseline or values
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
