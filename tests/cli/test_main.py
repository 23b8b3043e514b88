"""The command line, as a person calls it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from makers import retriever_settings
from typer.testing import CliRunner

from tandem.cli import main as cli
from tandem.formats.jsonl import InputError, write_records
from tandem.formats.llama_factory import PreferenceRow, SupervisedRow, read_dataset
from tandem.records import Document, LabelledPair, PreferencePair
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.retriever import save_retriever
from tandem.runtime.scratch import folder_identity

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


def test_search(tiny_encoder: Path, corpus: list[Document], tmp_path: Path) -> None:
    write_records(tmp_path / "corpus.jsonl", corpus)
    save_retriever(build_colbert(retriever_settings(tiny_encoder, query_tokens=32, document_tokens=180)), tmp_path / "m")
    arguments = [
        "search",
        corpus[0].text,
        "--model",
        str(tmp_path / "m"),
        "--corpus",
        str(tmp_path / "corpus.jsonl"),
        "--number",
        "2",
    ]
    result = RUN.invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    (first,) = (line for line in result.stdout.splitlines() if line.startswith(" 1  "))
    assert first.split()[-1] == "sort"


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
