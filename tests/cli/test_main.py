"""The command line: every command says what it does and shows a call, and bad input ends in one line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tandem.cli import main as cli

RUN = CliRunner()
COMMANDS = get_command(cli.app).commands  # type: ignore[attr-defined]  # a group's


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_sentence_and_a_call_that_parses(name: str) -> None:
    result = RUN.invoke(cli.app, [name, "--help"], terminal_width=200)
    assert result.exit_code == 0, result.output
    text = COMMANDS[name].help
    assert text is not None
    assert text.split("\n\n")[0].endswith(".")
    example = re.search(r"Example: tandem (.+)", text)
    assert example is not None
    words = shlex.split(example[1])
    assert words[0] == name
    COMMANDS[name].make_context(name, words[1:])  # parsed, not run


def test_bad_input_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tandem", "doctor"])
    with pytest.raises(SystemExit, match=r"^error: params\.yaml: no such file; `tandem init` writes a complete one$"):
        cli.main()


def test_the_commands_are_listed_without_the_heavy_libraries() -> None:
    """`tandem --help` answers at once: torch and mlflow are imported by the commands that need them."""
    code = "import sys; from tandem.cli.main import app; print({'torch', 'mlflow', 'transformers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
