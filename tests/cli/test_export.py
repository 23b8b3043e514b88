"""What other programs read of `tandem export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tandem.cli import main as cli
from tandem.formats.jsonl import InputError, write_records
from tandem.formats.llama_factory import PreferenceRow, SupervisedRow, read_dataset
from tandem.records import Document, LabelledPair, PreferencePair

RUN = CliRunner()


@pytest.mark.parametrize("formatting", ["alpaca", "sharegpt"])
def test_export(corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path, formatting: Any) -> None:
    write_records(tmp_path / "corpus.jsonl", corpus)
    write_records(tmp_path / "pairs.jsonl", pairs)
    preference = PreferencePair(doc_id="sort", chosen="good", rejected="bad", kind="valid_over_invalid")
    write_records(tmp_path / "preferences.jsonl", [preference])
    for kind, source in (("sft", "pairs"), ("preferences", "preferences")):
        arguments = [
            "export",
            kind,
            str(tmp_path / "lf"),
            "--formatting",
            formatting,
            "--corpus",
            str(tmp_path / "corpus.jsonl"),
        ]
        result = RUN.invoke(cli.app, [*arguments, "--source", str(tmp_path / f"{source}.jsonl")])
        assert result.exit_code == 0, result.output
    supervised = read_dataset(tmp_path / "lf", "tandem_sft")
    assert supervised[0] == SupervisedRow(prompt=corpus[0].text, completion=pairs[0].text)
    assert read_dataset(tmp_path / "lf", "tandem_preferences") == [PreferenceRow(prompt=corpus[0].text, chosen="good", rejected="bad")]


def test_an_export_of_another_corpus_is_refused(corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    write_records(tmp_path / "corpus.jsonl", corpus[1:])
    write_records(tmp_path / "pairs.jsonl", pairs)
    words = ["export", "sft", str(tmp_path / "lf"), "--corpus", str(tmp_path / "corpus.jsonl"), "--source", str(tmp_path / "pairs.jsonl")]
    with pytest.raises(InputError, match=r"pairs.jsonl: doc_id: 'sort' is not in .*corpus.jsonl \(1 such rows\)"):
        RUN.invoke(cli.app, words, catch_exceptions=False)
    assert not (tmp_path / "lf").exists()
