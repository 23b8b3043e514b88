"""``tandem champion``: who is champion of each role, and moving one by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["CHAMPIONS", "champion", "champion_weights"]

CHAMPIONS = Path("out/report/champions.json")


def champion(
    role: Annotated[Literal["retriever", "reranker", "generator"] | None, typer.Argument(help="Left out: all are listed")] = None,
    version: Annotated[str | None, typer.Argument(help="The registered version to make champion, whatever the gate says")] = None,
) -> None:
    """List the registered models and who is champion, or move a role's champion by hand.

    Example: tandem champion retriever 7
    """
    from tandem.tracking.sync import list_champions, move_champion

    if role and version:
        move_champion(role, version)
    for version_role, version_number, details, alias in list_champions():
        if role in (None, version_role):
            print(f"{version_role:<10} {version_number:>3}  {alias:<9} {details}")


def champion_weights(path: Path = CHAMPIONS) -> Path:
    """Where the champion of the retrievers lies, by the gate's report."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, so no champion yet; `dvc repro` chooses one, or name a retriever's weights")
    return Path(json.loads(path.read_text(encoding="utf8"))["retriever"]["folder"], "weights")
