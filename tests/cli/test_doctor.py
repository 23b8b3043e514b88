"""What `tandem doctor` says of a collection, and of one that is malformed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tandem.cli import main as cli
from tandem.formats.jsonl import InputError

RUN = CliRunner()


def test_doctor(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,one two three\n2,one two three\n3,four\n")
    (tmp_path / "p.csv").write_text("query,doc_id\nwhat,1\nwhich,3\n")
    result = RUN.invoke(cli.app, ["doctor", str(tmp_path / "a.csv"), "--pairs", str(tmp_path / "p.csv")])
    assert result.exit_code == 0, result.output
    assert "documents         3" in result.output
    assert "near duplicates   2" in result.output


def test_doctor_of_what_is_malformed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,one\n1,two\n")
    assert isinstance(RUN.invoke(cli.app, ["doctor", str(tmp_path / "a.csv")]).exception, InputError)
    monkeypatch.setattr("sys.argv", ["tandem", "doctor", str(tmp_path / "a.csv")])
    with pytest.raises(SystemExit, match=r"error: .*a.csv:3: doc_id '1' stands in the file a second time"):
        cli.main()


def test_doctor_of_a_share_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,one\n")
    monkeypatch.setattr("sys.argv", ["tandem", "doctor", str(tmp_path / "a.csv"), "--test-share", "9"])
    with pytest.raises(SystemExit, match=r"^error: --test-share: 9 found, 0 to 1 is allowed$"):
        cli.main()
