"""Make the MLflow runs of every record that has none yet; a store that cannot be written is reported, and fails nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stages.runtime import parse, run
from tandem.tracking.store import read_champions
from tandem.tracking.sync import rounds_address, sync


def main(argv: Sequence[str] | None = None) -> None:
    """Read the records, write to the tracking store."""
    arguments = parse(__doc__, argv, "records", "report", "champions", "reranker")
    try:
        champions = read_champions(arguments.champions, arguments.reranker)
        counts = sync(arguments.records, report=arguments.report, champions=champions, say=print)
        print(f"MLflow: {counts['created']} stage runs created, {counts['present']} present")
        if counts["created"]:
            print(f"MLflow: the rounds side by side: `make ui`, then {rounds_address()}")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a tracking store, the results stand
        print(f"warning: MLflow was not updated: {error}; `tandem sync` tries again", file=sys.stderr)


if __name__ == "__main__":
    run(main)
