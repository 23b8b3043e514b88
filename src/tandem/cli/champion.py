"""``tandem champion``: who is champion of each role, and moving one by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["CHAMPIONS", "champion", "champion_weights"]

CHAMPIONS = Path("out/report/champions.json")


def champion(
    role: Annotated[str, typer.Argument(help="retriever, reranker or generator; left out: all are listed")] = "",
    version: Annotated[str, typer.Argument(help="The registered version to make champion, whatever the gate says")] = "",
) -> None:
    """List the registered models and who is champion, or move a role's champion by hand."""
    from tandem.tracking.sync import list_champions, move_champion

    if role and version:
        move_champion(role, version)
    for own, number, shown, alias in list_champions():
        if role in ("", own):
            print(f"{own:<10} {number:>3}  {alias:<9} {shown}")


def champion_weights(path: Path = CHAMPIONS) -> Path:
    """Where the champion of the retrievers lies, by the gate's own report."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, so no champion yet; `dvc repro` chooses one, or name a retriever's weights")
    return Path(json.loads(path.read_text(encoding="utf8"))["retriever"]["folder"], "weights")
