"""Check every section of params.yaml, then write what tells the content of each file that it names; it always runs, and comes first.

What did not change keeps its digest, so that nothing runs again. Sections are checked where params.yaml is another than at the last run:
a value that stage 20 would refuse is refused before stage 1.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.arguments import parse, run
from tandem.formats.jsonl import write_json
from tandem.runtime.inputs import write_inputs
from tandem.runtime.params import load_params, read_params
from tandem.runtime.rounds import check_rounds

MEMORY = Path(".scratch/inputs.json")
CHECKED = Path(".scratch/checked.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Read and check params.yaml, write a file for each of its sections that names files."""
    paths = parse("inputs", argv, "inputs")
    content = read_params(paths.params)
    digest = hashlib.sha256(paths.params.read_bytes()).hexdigest()
    if not CHECKED.is_file() or CHECKED.read_text(encoding="utf8") != f'"{digest}"\n':
        check_rounds(content, paths.params)
        check_sections(content, paths.params)
        write_json(CHECKED, digest)
    write_inputs(content, paths.inputs, MEMORY)


def check_sections(content: Mapping[str, Any], path: Path) -> None:
    """Read every section that belongs to a stage as that stage will.

    Raises:
        ParamsError: the first value that a stage would refuse.
    """
    for section in content:
        if Path(__file__).with_name(f"{section}.py").is_file():
            stage = importlib.import_module(f"stages.{section}")
            if hasattr(stage, "Params"):
                load_params(path, section, stage.Params)


if __name__ == "__main__":
    run(main)
