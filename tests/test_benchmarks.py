"""The benchmark that needs a GPU runs every stage at toy shapes without one."""

from __future__ import annotations

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
