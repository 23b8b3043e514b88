"""``tandem sync``: MLflow runs from the records of executions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["sync"]


def sync(
    records: Annotated[Path, typer.Argument(help="The folder of records")] = Path("out/records"),
    history: Annotated[bool, typer.Option(help="Superseded executions and those of experiments too, from DVC's cache and git")] = False,
) -> None:
    """Make the MLflow runs of every record that has none yet; each recipe has an experiment apart.

    Example: tandem sync --history
    """
    from tandem.tracking.store import read_champions
    from tandem.tracking.sync import rounds_address, tracking_uri
    from tandem.tracking.sync import sync as sync_records

    files = Path("out/report/champions.json"), Path("out/report/reranker.json")
    there = records == Path("out/records") and all(path.is_file() for path in files)
    champions = read_champions(*files) if there else {}
    counts = sync_records(records, report=Path("out/report/report.html"), champions=champions, say=print, history=history)
    print(f"{tracking_uri()}: {counts['created']} stage runs created, {counts['present']} present")
    if counts["created"]:
        print(f"the rounds side by side: `make ui`, then {rounds_address()}")
    if records != Path("out/records"):
        return
    others = {folder.parents[1].name: folder for folder in sorted(Path("recipes").glob("*/out/records"))}
    for name, folder in others.items():
        if folder.is_dir():
            counts = sync_records(folder, experiment=f"tandem-{name}")
            print(f"{name}: {counts['created']} stage runs created, {counts['present']} present")
