"""Champions listed and moved by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tandem.cli import main as cli

RUN = CliRunner()


def test_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are listed with the alias, it moves by hand, and a version that is not there is told in one line."""
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_registered_model("tandem-retriever")
    for name in ("r0", "r1"):
        client.create_model_version("tandem-retriever", source=str(tmp_path), tags={"model": name, "dev": "0.5"})
    listed = RUN.invoke(cli.app, ["champion", "retriever", "1"])
    assert listed.exit_code == 0, listed.output
    lines = listed.stdout.splitlines()
    assert lines[0].split()[:2] == ["retriever", "2"]
    assert lines[1].split()[:3] == ["retriever", "1", "champion"]
    assert "dev 0.5, gate moved by hand, model r0" in lines[1]
    assert RUN.invoke(cli.app, ["champion", "generator"]).stdout == ""
    with pytest.raises(ValueError, match="no version '7'; there are: 1, 2"):
        RUN.invoke(cli.app, ["champion", "retriever", "7"], catch_exceptions=False)
