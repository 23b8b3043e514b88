"""Files that the workspace no longer has, and DVC's cache or git still does: the records of superseded executions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

__all__ = ["remembered_by_dvc", "remembered_by_git"]


def remembered_by_dvc(folder: Path) -> Iterator[str]:
    """The files under a folder that any stage wrote which DVC could restore: its run cache names them, its file cache has them.

    Args:
        folder: below the project, as dvc.yaml names it.
    """
    cache, yaml = _cache_folder(), YAML(typ="safe")
    for entry in sorted((cache / "runs").glob("*/*/*")):
        for out in yaml.load(entry.read_text(encoding="utf8"))["outs"]:
            content = cache / "files/md5" / out["md5"][:2] / out["md5"][2:]
            if Path(out["path"]).is_relative_to(folder) and content.is_file():
                yield content.read_text(encoding="utf8")


def remembered_by_git(folder: Path) -> Iterator[str]:
    """The versions of the files under a folder in all commits of all branches and experiments."""
    listed = _git("rev-list", "--all", "--objects", "--", str(folder)).splitlines()
    blobs = [line.split(" ", 1)[0] for line in listed if line.endswith(".json")]
    for blob in blobs:
        yield _git("cat-file", "blob", blob)


def _cache_folder() -> Path:
    """Where DVC keeps its cache: it alone knows all places that may say so."""
    result = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True, check=False)
    return Path(result.stdout.strip() or ".dvc/cache")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout
