"""``tandem cache``: what is in it, and what pruning leaves."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from tandem.cli import main as cli
from tandem.runtime.scratch import folder_identity

RUN = CliRunner()


def write_cache(folder: Path) -> tuple[str, dict[str, bytes]]:
    """A cache with completions of g1, of weights that are gone, of two served models and of an older version."""
    identity = folder_identity(folder / "out/generators/g1/model/weights")
    now = int(time.time())
    written = {"weights:gone": now, f"weights:{identity}": now - 10 * 86_400, "server:a": now, "server:b": now}
    lines = {
        model: orjson.dumps({"model": model, "time": at, "rows": [[f"{model}{i}", "a query", 5, 3] for i in range(3)]}) + b"\n"
        for model, at in written.items()
    }
    lines["older"] = orjson.dumps([["k", "a query", 5, 3]]) + b"\n"
    path = folder / "out/cache/completions.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(lines.values()))
    return identity, lines


def test_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(RUN.invoke(cli.app, ["cache"]).exception, FileNotFoundError)
    Path("out/generators/g1/model/weights").mkdir(parents=True)
    Path("out/generators/g1/model/weights/config.json").write_text("{}")
    params = "updates:\n  g2: {base: g1, round: r1}\ngenerate_queries:\n  backend: BACKEND\n  served: {model: MODEL, models: {}}\n"
    Path("params.yaml").write_text(params.replace("BACKEND", "openai").replace("MODEL", "a"))
    identity, lines = write_cache(tmp_path)
    path = Path("out/cache/completions.jsonl")

    def pruned(*options: str) -> set[str]:
        path.write_bytes(b"".join(lines.values()))
        result = RUN.invoke(cli.app, ["cache", "--prune", *options])
        assert result.exit_code == 0, result.exception
        return {name for name, line in lines.items() if line in path.read_bytes()}

    shown = RUN.invoke(cli.app, ["cache"]).output
    rows = [line.split() for line in shown.splitlines()]
    size = str(len(lines[f"weights:{identity}"]))
    assert ["g1", "3", size] in [row[:3] for row in rows]
    assert ["served", "server:a"] in [[row[0], row[-1]] for row in rows]
    assert ["-", "weights:gone"] in [[row[0], row[-1]] for row in rows]
    assert rows[-1] == ["all", "13", str(path.stat().st_size)]
    error = RUN.invoke(cli.app, ["cache", "--prune"]).exception
    assert "g2/model/weights: no such folder, and completions that may be of g2" in str(error)
    assert path.read_bytes() == b"".join(lines.values())
    shutil.copytree("out/generators/g1", "out/generators/g2")
    assert pruned() == {f"weights:{identity}", "server:a"}
    assert pruned("--older-than", "5") == {"server:a"}
    Path("params.yaml").write_text(params.replace("BACKEND", "openai").replace("MODEL", "null"))
    assert pruned() == {f"weights:{identity}", "server:a", "server:b"}, "any model may be the one that is served"
    Path("params.yaml").write_text(params.replace("BACKEND", "model").replace("MODEL", "a"))
    assert pruned("--older-than", "11") == {f"weights:{identity}"}
