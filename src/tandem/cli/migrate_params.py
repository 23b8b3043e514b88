"""``tandem migrate-params``: an older params.yaml with today's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["migrate_params"]


def migrate_params(
    file: Annotated[Path, typer.Argument(help="A params.yaml, or an overlay of one")] = Path("params.yaml"),
) -> None:
    """Rewrite an older params.yaml with today's keys and say each change; comments and order stay.

    Example: tandem migrate-params params.yaml
    """
    from tandem.formats.encodings import read_text, require_file
    from tandem.formats.jsonl import write_text
    from tandem.runtime.migration import migrate

    require_file(file, "`tandem init` writes a complete one")
    text, changes = migrate(read_text(file), str(file))
    if not changes:
        print(f"{file}: has today's keys already")
        return
    write_text(file, text)
    for change in changes:
        print(f"{file}:{change.line}: {change.before} -> {change.after}")
