"""`tandem init` writes a whole params.yaml, and never drops changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tandem.cli.main import app
from tandem.formats.jsonl import write_text

BASE = "# The quickstart's values.\n\nseed: 13\n\nprepare_corpus:\n  source: python_api\n  packages: [numpy]\n\ntrain:\n  rate: 2.0e-4\n"
OVERLAYS = {
    "large": "# Large ones.\ntrain:\n  rate: 1.0e-3\n",
    "own": "# Own ones.\nextends: large\nprepare_corpus:\n  source: files\n  path: here\n",
}


def test_init_writes_a_whole_file_and_never_drops_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, overlay in OVERLAYS.items():
        write_text(tmp_path / f"configs/profiles/{name}.yaml", overlay)
    path = tmp_path / "params.yaml"
    path.write_text(BASE)
    for command in (
        ["init", "--quiet"],
        ["add", "params.yaml"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    runner = CliRunner()
    assert runner.invoke(app, ["init", "--profile", "own", "--set", "seed=3"]).exit_code == 0
    written = path.read_text()
    assert YAML(typ="safe").load(written)["seed"] == 3
    refused = runner.invoke(app, ["init", "--profile", "large"])
    assert "has changes that git does not have" in str(refused.exception)
    assert path.read_text() == written
    assert runner.invoke(app, ["init", "--profile", "large", "--force"]).exit_code == 0
    assert (
        YAML(typ="safe").load(path.read_text())["prepare_corpus"]["source"] == "python_api"
    )  # over the quickstart's values, not over own's
    assert "own" in runner.invoke(app, ["init", "--list"]).output
