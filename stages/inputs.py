"""Check params.yaml, then write the content of the files it names and the overrides of each round; it always runs, and comes first.

What did not change keeps its digest, so that nothing runs again. Values are checked where params.yaml is another than at the last run:
one that stage 20 would refuse, in a section or in a round's overrides, is refused before stage 1.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.runtime import parse, run
from tandem.formats.jsonl import write_json
from tandem.runtime.inputs import write_inputs
from tandem.runtime.params import load_params, read_params
from tandem.runtime.plan import STAGES, check_plan
from tandem.settings import Settings

MEMORY = Path(".scratch/inputs.json")
CHECKED = Path(".scratch/checked.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Read and check params.yaml, write a file for each section that names files, and for each stage of a round."""
    paths = parse("inputs", argv, "inputs")
    content = read_params(paths.params)
    digest = hashlib.sha256(paths.params.read_bytes()).hexdigest()
    if not CHECKED.is_file() or CHECKED.read_text(encoding="utf8") != f'"{digest}"\n':
        check_plan(content, paths.params)
        check_sections(content, paths.params)
        write_json(CHECKED, digest)
    write_inputs(content, paths.params, paths.inputs, MEMORY)


def check_sections(content: Mapping[str, Any], path: Path) -> None:
    """Read every section that belongs to a stage as that stage will, with the overrides of each round and update.

    Raises:
        ParamsError: the first value that a stage would refuse.
    """
    for section in content:
        schema = schema_of(section)
        if schema is None:
            continue
        load_params(path, section, schema)
        for plan, stages in STAGES.items():
            for name in content.get(plan) or () if section in stages else ():
                load_params(path, section, schema, entry=(plan, name))


def schema_of(section: str) -> type[Settings] | None:
    """The settings that the stage of a section declares; None where no stage has such a section."""
    if not Path(__file__).with_name(f"{section}.py").is_file():
        return None
    return getattr(importlib.import_module(f"stages.{section}"), "Params", None)


if __name__ == "__main__":
    run(main)
