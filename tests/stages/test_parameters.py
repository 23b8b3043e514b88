"""docs/parameters.md is what the settings in the code say, of every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages import parameters

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    assert parameters.main(["--check"]) == 0, "run python -m stages.parameters"


def test_every_key_of_params_yaml_is_in_it_and_says_what_it_does() -> None:
    lines = parameters.render().splitlines()
    rows = {match[1]: line for line in lines if (match := re.match(r"\| `([^`]+)` \|", line))}
    assert not [key for key, line in rows.items() if line.endswith("|  |")]
    for file in ("params.yaml", "recipes/reranker/params.yaml"):
        for section, values in YAML(typ="safe").load((ROOT / file).read_text()).items():
            if isinstance(values, dict) and section not in ("rounds", "updates", "rerankers"):
                missing = [key for key in values if not any(name.startswith(f"{section}.{key}") for name in rows)]
                assert not missing, (section, missing)
            elif not isinstance(values, dict):
                assert section in rows


def test_a_page_that_is_out_of_date_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(parameters, "ROOT", tmp_path)
    monkeypatch.setattr(parameters, "DOCUMENT", tmp_path / "parameters.md")
    monkeypatch.setattr(parameters, "render", lambda: "new\n")
    (tmp_path / "parameters.md").write_text("old\n")
    assert parameters.main(["--check"]) == 1
    assert "parameters.md: out of date; run python -m stages.parameters" in capsys.readouterr().out
    assert (tmp_path / "parameters.md").read_text() == "old\n"
    assert parameters.main([]) == 0
    assert (tmp_path / "parameters.md").read_text() == "new\n"
