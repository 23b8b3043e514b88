"""The command line: its commands in the order of a first day, and how bad input ends."""

from __future__ import annotations

import sys

import typer

from tandem.cli.cache import cache
from tandem.cli.champion import champion
from tandem.cli.doctor import doctor
from tandem.cli.export import export
from tandem.cli.import_data import import_data
from tandem.cli.init import init
from tandem.cli.migrate_params import migrate_params
from tandem.cli.search import search
from tandem.cli.serve import serve
from tandem.cli.sync import sync

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (init, doctor, migrate_params, search, serve, export, champion, sync, cache):
    app.command()(command)
app.command(name="import")(import_data)


def main() -> None:
    """Run the command line; bad input ends it with one line."""
    try:
        app()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).splitlines())}")


if __name__ == "__main__":
    main()
