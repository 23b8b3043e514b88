"""Write the code dependencies of every dvc.yaml: the modules that a stage imports, and no others.

``python -m stages.dependencies`` writes them, ``--check`` says which files would change and ends with 1 where any would. Whatever else
stands in a file, comments included, stays as it is.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["closure_of", "main", "render"]

ROOT = Path(__file__).parents[1]
# They carry a stage's flags, settings, record and unfinished work, and have no part in what it computes.
NO_DEPENDENCY = {"tandem.tracking.sync", "tandem.tracking.record", "tandem.runtime.params", "tandem.runtime.scratch", "stages.runtime"}
WITHOUT_CODE = {"stages.sync_tracking", "stages.inputs"}  # no code of theirs changes a result
SERVING = "tandem.tracking.serving."  # serving_code("x") puts this file into the model folder
DEPENDENCIES = re.compile(r"^( +)deps:$")


def path_of(module: str) -> Path | None:
    """The file of a module of ours; None of anything else."""
    base = (ROOT / "src" if module.startswith("tandem") else ROOT).joinpath(*module.split("."))
    return base.with_suffix(".py") if base.with_suffix(".py").exists() else None


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, and those that it puts into a model folder."""
    modules = set()
    source = path.read_text(encoding="utf8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("tandem", "stages"):
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules |= {SERVING + name for name in re.findall(r'serving_code\("(\w+)"\)', source)}
    return {module for module in modules if path_of(module)}


def closure_of(module: str) -> set[str]:
    """The files that a module's results depend on, itself among them, as paths from the project's root."""
    seen: set[Path] = set()
    done: set[str] = set()
    todo = [module]
    while todo:
        current = todo.pop()
        path = path_of(current)
        if path and current not in done and current not in NO_DEPENDENCY:
            done.add(current)
            seen.add(path)
            todo += imports_of(path)
    return {str(path.relative_to(ROOT)) for path in seen}


def render(text: str, folder: Path) -> str:
    """A dvc.yaml with its stages' code dependencies as they should be; they stand before the other dependencies, in order.

    Args:
        text: of the file.
        folder: that it stands in, from the project's root.
    """
    return "\n".join(_lines(text, folder)) + "\n"


def _lines(text: str, folder: Path) -> Iterator[str]:
    module, inside, indent = "", False, ""
    for line in text.splitlines():
        if inside and line.startswith(f"{indent}  - ") and line.endswith(".py"):
            continue
        inside = False
        if command := re.search(r"-m (stages\.\w+)", line):
            module = command.group(1)
        yield line
        if (block := DEPENDENCIES.match(line)) and module not in WITHOUT_CODE:
            inside, indent = True, block.group(1)
            yield from (f"{indent}  - {path}" for path in sorted(os.path.relpath(path, folder) for path in closure_of(module)))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files, or say which are out of date."""
    check = "--check" in (sys.argv[1:] if argv is None else argv)
    stale = 0
    for pipeline in [ROOT / "dvc.yaml", *sorted((ROOT / "recipes").glob("*/dvc.yaml"))]:
        before = pipeline.read_text(encoding="utf8")
        text = render(before, pipeline.parent.relative_to(ROOT))
        if text != before:
            stale += 1
            print(f"{pipeline.relative_to(ROOT)}: {'out of date; run python -m stages.dependencies' if check else 'written'}")
            if not check:
                draft = pipeline.with_suffix(".draft")
                draft.write_text(text, encoding="utf8")
                draft.replace(pipeline)
    return min(stale, 1) if check else 0


if __name__ == "__main__":
    sys.exit(main())
