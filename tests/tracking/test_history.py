"""Records that the workspace no longer has: from DVC's cache and git, of the same pipeline alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tandem.tracking import sync as tracking
from tandem.tracking.history import remembered_by_dvc, remembered_by_git
from tandem.tracking.record import record


def test_history_takes_no_other_pipeline_s_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes write to a folder ``records`` too, and DVC's run cache does not say whose it was."""
    monkeypatch.setenv("DVC_STAGE", "train_retriever_r0")
    with record("train_retriever", {}, project / "out/records/a.json", round_id="r0") as run:
        run.log({"loss": 1.0})
    item = json.loads((project / "out/records/a.json").read_text())
    same = {**item, "record_id": "same"}
    other = {**item, "record_id": "other", "tags": {"dvc.stage": "recipes/reranker/dvc.yaml:train_reranker@teacher"}}
    monkeypatch.setattr(tracking, "_remembered", lambda _: [same, other])
    assert tracking.sync(project / "out/records", history=True) == {"created": 2, "present": 0}


def test_the_run_cache_of_dvc(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry names outputs by their MD5; a file that the cache has no more is left out."""
    cache = project / ".dvc/cache"
    for name, digest in (("one", "aa1"), ("other", "bb2")):
        (cache / "files/md5" / digest[:2]).mkdir(parents=True, exist_ok=True)
        (cache / "files/md5" / digest[:2] / digest[2:]).write_text(name)
    entry = cache / "runs/ab/abc/def"
    entry.parent.mkdir(parents=True)
    outs = [("out/records/s.json", "aa1"), ("out/records/gone.json", "cc3"), ("elsewhere/s.json", "bb2")]
    entry.write_text("outs:\n" + "".join(f"- {{path: {path}, md5: {digest}}}\n" for path, digest in outs))
    monkeypatch.setattr("tandem.tracking.history._cache_folder", lambda: cache)
    assert list(remembered_by_dvc(Path("out/records"))) == ["one"]


def test_the_commits_of_git(project: Path) -> None:
    """A version that is no more in the workspace is in an earlier commit."""
    identity = ("-c", "user.name=tandem", "-c", "user.email=tandem@example.org")
    subprocess.run(["git", "init", "--quiet"], check=True)
    path = project / "out/records/s.json"
    path.parent.mkdir(parents=True)
    for text in ("first", "second"):
        path.write_text(text)
        subprocess.run(["git", "add", "out"], check=True)
        subprocess.run(["git", *identity, "commit", "--quiet", "--message", text], check=True)
    assert set(remembered_by_git(Path("out/records"))) == {"first", "second"}
