"""Write what tells the content of every file and model folder that params.yaml names; it always runs, and what did not change stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.arguments import parse, run
from tandem.inputs import write_inputs
from tandem.params import read_params

MEMORY = Path(".scratch/inputs.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Read params.yaml, write a file for each of its sections that names files."""
    paths = parse("inputs", argv, "inputs")
    write_inputs(read_params(paths.params), paths.inputs, MEMORY)


if __name__ == "__main__":
    run(main)
