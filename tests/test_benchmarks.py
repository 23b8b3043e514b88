"""Benchmarks at toy shapes: the one that needs a GPU, without one, and recipes of training on a collection of thirty documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_gpu_benchmark_meters_every_stage(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), str(tmp_path), "tiny"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith(("| train_", "| improve_"))]
    assert len({row[1] for row in rows}) == 8
    assert all(int(row[3].replace(",", "")) > 0 for row in rows)


@pytest.mark.slow
def test_a_recipe_is_trained_merged_fused_and_measured(collection: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    texts = [json.loads(line)["text"].split()[2:7] for line in (collection / "corpus.jsonl").read_text().splitlines()]
    queries.write_text(
        "".join(json.dumps({"query_id": f"g{i}", "text": " ".join(words), "doc_id": f"d{i}"}) + "\n" for i, words in enumerate(texts))
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    where = [
        "--data",
        str(collection),
        "--queries",
        str(queries),
        "--scratch",
        str(tmp_path / "scratch"),
        "--shares",
        "1,0.5",
        "--seeds",
        "1,2",
    ]
    retriever = f"retriever={{encoder: {tiny_encoder}, dimensions: 16, query_tokens: 16, document_tokens: 32}}"
    steps = "train_retriever={steps: 2, batch_size: 2, training_document_tokens: 32}"
    teacher = ["mine_negatives.teach=fusion", "train_retriever.distillation={distillation: kl, teacher_temperature: 0.15}"]
    command = [sys.executable, str(ROOT / "benchmarks/training_recipes.py"), *where, retriever, steps, *teacher]
    command += ["build_baselines.dense_max_length=32", "filter_queries.rules=[{run: fusion, k: 30}]"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[1:]] == ["bm25", "dense", "colbert", "fusion", "colbert 1", "fusion 1", "colbert 0.5", "fusion 0.5"]
    assert all(0 <= float(row[1]) <= 1 and 0 <= float(row[5]) <= 1 for row in rows[1:])
    assert [bool(row[3]) for row in rows[1:]] == [False] * 4 + [True] * 4
