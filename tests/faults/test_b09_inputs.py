"""An edited input file is noticed: what params.yaml names is a dependency by its content; queued experiments are told of dvc add."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import QUERIES, TEXTS
from dvc_file import read_stages
from ruamel.yaml import YAML

from tandem.formats.errors import InputError
from tandem.runtime.inputs import NAMED, describe_inputs, write_inputs

ROOT = Path(__file__).parents[2]


def test_content_is_what_counts(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_bytes(b"one")
    (tmp_path / "documents.jsonl").write_text("a")
    content: dict[str, Any] = {
        "prepare_corpus": {"source": "files", "path": "documents.jsonl", "pairs": "", "documents": 3},
        "retriever": {"encoder": "model"},
        "train_generator": {"base": "smollm2"},
        "rerankers": {"teacher": {"base": "model"}, "student": {"base": "org/name"}},
        "relevance": {"scorer": "monot5", "model": None},
        "generate_queries": {"backend": "model", "file": "documents.jsonl"},
    }
    first = describe_inputs(content, {}, tmp_path)
    assert first["train_generator"] == {"base": {"value": "smollm2"}}
    assert set(first["prepare_corpus"]) == {"path"}
    assert first["relevance"] == first["generate_queries"] == {}  # nothing reads the file
    assert first["rerankers"]["teacher.base"]["md5"] == first["retriever"]["encoder"]["md5"]
    known: dict[str, list[Any]] = {}
    assert describe_inputs(content, known, tmp_path) == first == describe_inputs(content, known, tmp_path)
    os.utime(tmp_path / "documents.jsonl", (1, 1))  # another time, the same content
    assert describe_inputs(content, known, tmp_path) == first
    for path, changed in ((tmp_path / "documents.jsonl", "prepare_corpus"), (tmp_path / "model/weights", "retriever")):
        path.write_bytes(b"two")
        now = describe_inputs(content, known, tmp_path)
        assert now[changed] != first[changed]
    (tmp_path / "model/weights").rename(tmp_path / "model/other")
    assert describe_inputs(content, known, tmp_path)["retriever"] != now["retriever"]


def test_a_file_that_the_launcher_names_is_content_too(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("num_processes: 2")
    content = {"launcher": "accelerate launch --config_file=two.yaml --mixed_precision no"}
    first = describe_inputs(content, {}, tmp_path)
    assert set(first["launcher"]) == {"two.yaml"}
    (tmp_path / "two.yaml").write_text("num_processes: 4")
    assert describe_inputs(content, {}, tmp_path) != first
    for pipeline in (ROOT / "dvc.yaml", ROOT / "recipes/reranker/dvc.yaml"):
        for stage in YAML(typ="safe").load(pipeline.read_text())["stages"].values():
            stage = stage.get("do", stage)
            assert ("${launcher}" in stage["cmd"]) == ("out/data/inputs/launcher.json" in stage.get("deps", []))


def test_every_stage_that_reads_a_named_file_depends_on_it() -> None:
    for pipeline in (ROOT / "dvc.yaml", ROOT / "recipes/reranker/dvc.yaml"):
        stages = read_stages(pipeline)
        written = set(stages["inputs"]["outs"])
        for name, stage in stages.items():
            stage = stage.get("do", stage)
            if name == "compare_rerankers":  # it reads names alone
                continue
            sections = {param.split(".")[0] for param in stage.get("params", [])} & set(NAMED)
            assert {f"out/data/inputs/{section}.json" for section in sections} & written <= set(stage.get("deps", [])), name


def test_a_file_is_written_whole_for_each_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"retriever": {"encoder": "builtin"}, "relevance": {"scorer": "monot5", "model": "x"}}
    write_inputs(content, Path("params.yaml"), Path("inputs"), Path(".scratch/inputs.json"))
    assert json.loads(Path("inputs/retriever.json").read_text()) == {"encoder": {"value": "builtin"}}
    assert sorted(path.name for path in Path("inputs").iterdir()) == ["relevance.json", "retriever.json"]
    Path(".scratch/inputs.json").write_text("{")  # a memory that a kill cut off is made again
    write_inputs({"retriever": {"encoder": "builtin"}}, Path("params.yaml"), Path("inputs"), Path(".scratch/inputs.json"))


def test_a_queued_experiment_says_dvc_add(tmp_path: Path) -> None:
    here = tmp_path / ".dvc/tmp/exps/standalone/abc"
    here.mkdir(parents=True)
    (tmp_path / "documents.jsonl").write_text("here, and in no copy")
    (tmp_path / "models/base").mkdir(parents=True)
    content = {"prepare_corpus": {"source": "files", "path": "documents.jsonl"}, "retriever": {"encoder": "org/model"}}
    with pytest.raises(
        InputError, match=r"params.yaml: prepare_corpus.path: 'documents.jsonl' found, which is not here: .*`dvc add documents.jsonl`"
    ):
        describe_inputs(content, {}, here)
    assert describe_inputs({"retriever": {"encoder": "org/model"}}, {}, here) == {"retriever": {"encoder": {"value": "org/model"}}}
    with pytest.raises(InputError, match=r"retriever.encoder: 'models/base' found, which is not here"):
        describe_inputs({"retriever": {"encoder": "models/base"}}, {}, here)
    assert describe_inputs({"retriever": {"encoder": "models/none"}}, {}, tmp_path)["retriever"] == {"encoder": {"value": "models/none"}}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_dvc_repro_and_a_queue_with_a_corpus_of_ones_own(tmp_path: Path) -> None:
    project = tmp_path / "project"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if not name.startswith(("metrics/", "docs/", "tests/")) and name != "dvc.lock":
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    (project / "documents.jsonl").write_text("".join(json.dumps({"doc_id": n, "text": t}) + "\n" for n, t in TEXTS.items()))
    (project / "pairs.jsonl").write_text("".join(json.dumps({"query": q, "doc_id": n}) + "\n" for n, q in QUERIES.items()))
    with (project / ".gitignore").open("a") as file:
        file.write("/documents.jsonl\n/pairs.jsonl\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "PYTHONPATH"))}
    environment = {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "DVC_NO_ANALYTICS": "1"}

    def run(*command: str, fails: bool = False) -> str:
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    own = ("--set", "prepare_corpus.path=documents.jsonl", "--set", "prepare_corpus.pairs=pairs.jsonl")
    run("tandem", "init", "--profile", "own-files", *own)
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run("git", "init", "--quiet")
    run("git", "add", "-A")
    run(*git, "commit", "--quiet", "-m", "project")
    assert "Running stage 'prepare_corpus'" in run("dvc", "repro", "sample_pairs")
    assert "Stage 'prepare_corpus' didn't change" in run("dvc", "repro", "sample_pairs")
    with (project / "documents.jsonl").open("a") as file:
        file.write('{"doc_id": "more", "text": "another document"}\n')
    assert "Running stage 'prepare_corpus'" in run("dvc", "repro", "sample_pairs")
    assert '"more"' in (project / "out/data/corpus.jsonl").read_text()
    run("git", "add", "-A")
    run(*git, "commit", "--quiet", "-m", "lock")
    refused = run("dvc", "exp", "run", "--temp", "-S", "sample_pairs.pairs=3", "sample_pairs", fails=True)
    assert "error: params.yaml: prepare_corpus.path: 'documents.jsonl' found, which is not here" in refused
    text = (project / ".gitignore").read_text().replace("/documents.jsonl\n/pairs.jsonl\n", "")
    (project / ".gitignore").write_text(text)
    run("dvc", "add", "--quiet", "documents.jsonl", "pairs.jsonl")
    run("git", "add", "-A")
    run(*git, "commit", "--quiet", "-m", "data")
    assert "Stage 'prepare_corpus' didn't change" in run("dvc", "exp", "run", "--temp", "-S", "sample_pairs.pairs=3", "sample_pairs")
