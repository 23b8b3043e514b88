"""Write docs/parameters.md: every key of params.yaml with its type, its bounds, its value in the quickstart and what it does.

``python -m stages.parameters`` writes it, ``--check`` ends with 1 where it is out of date. All of it is read from the settings of the
stages and the docstrings under their fields; where a field has none, from the comment beside its key in params.yaml.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel
from ruamel.yaml import YAML

from tandem.runtime.fields import bounds_of, choices, docstring_of, kind_of, may_be_null, models_in

__all__ = ["main", "render"]

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/parameters.md"
HEAD = """# Parameters

Every key of `params.yaml`, by section. `python -m stages.parameters` writes this page from the settings in the code; a test holds it there.

- *Value* is the quickstart's. In brackets: what counts where the key is left out.
- `<name>` stands for a name of your choice, `[]` for each entry of a list.
- A value outside its bounds, an unknown key or a missing one ends `dvc repro` before its first stage, in one line.
- A round or an update may change a setting for itself alone: see [rounds](#rounds).
- A key of an older file: `tandem migrate-params` rewrites it.
"""
OVERRIDES = """
Any other key of an entry changes a setting of its stages, for this entry alone:

```yaml
rounds:
  r1: {prev: r0, generator: g1}
  r2: {prev: r1, generator: g2, steps: 96, generate_queries: {temperature: 0.9}}
updates:
  g2: {base: g1, round: r1, improve_generator: {ppo: {steps: 20}}}
```

- `steps: 96` needs no stage: of a round's stages `train_retriever` alone has such a key.
- Several stages have a `temperature`, so its stage is named. Maps are merged, lists replaced.
- Only the stage whose setting changes runs again, of this round alone, and what follows from it.
- On the command line: `dvc exp run -S '+rounds.r2.train_retriever.steps=96'`.
"""


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    key: str
    kind: str
    bounds: str
    value: str
    meaning: str

    def __str__(self) -> str:
        """The line in Markdown."""
        cells = (f"`{self.key}`", self.kind, self.bounds, f"`{self.value}`" if self.value else "", self.meaning)
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def render() -> str:
    """The page."""
    lines = [HEAD]
    listed: set[str] = set()
    schemas = _schemas()
    for title, folder in [
        ("", ROOT),
        *((path.name, path) for path in sorted((ROOT / "recipes").iterdir()) if (path / "params.yaml").exists()),
    ]:
        content = YAML().load((folder / "params.yaml").read_text(encoding="utf8"))
        fresh = [key for key in content if key not in listed]
        if title and fresh:
            lines.append(f"# Recipe: {title}\n\nSections that the loop's `params.yaml` has not; the others are as above.\n")
        if shared := [key for key in fresh if not isinstance(content[key], dict)]:
            rows = [row for key in shared for row in _rows_of(key, *_shared_field(key, schemas), content, key)]
            lines += ["## Shared by all stages\n", *_table(rows)]
        for key in fresh:
            if isinstance(content[key], dict):
                lines += _section(key, schemas, content)
        listed |= {*content}
    return "\n".join(lines).rstrip() + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page, or say that it is out of date."""
    check = "--check" in (sys.argv[1:] if argv is None else argv)
    text = render()
    if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf8") == text:
        return 0
    if check:
        print(f"{DOCUMENT.relative_to(ROOT)}: out of date; run python -m stages.parameters")
        return 1
    DOCUMENT.write_text(text, encoding="utf8")
    print(f"{DOCUMENT.relative_to(ROOT)}: written")
    return 0


def _schemas() -> dict[str, type[BaseModel]]:
    """What each stage declares, by its section."""
    modules = {path.stem: importlib.import_module(f"stages.{path.stem}") for path in sorted((ROOT / "stages").glob("*.py"))}
    return {name: module.Params for name, module in modules.items() if hasattr(module, "Params")}


def _section(name: str, schemas: Mapping[str, type[BaseModel]], content: Mapping[str, Any]) -> list[str]:
    """A heading, what the section is, and its table."""
    schema: type[BaseModel] | None
    if name in schemas:
        schema = schemas[name]
        told = (inspect.getdoc(sys.modules[schema.__module__]) or "").split("\n\n")[0]
        # What stands at the top level is another section's; of the rounds' stages, `rounds` among it.
        fields = _in_order([field for field in schema.model_fields if field not in content], content[name])
        rows = [row for field in fields for row in _rows_of(f"{name}.{field}", schema, field, content, f"{name}.{field}")]
    else:
        schema, field = _shared_field(name, schemas)
        models = list(models_in(schema.model_fields[field].annotation)) if schema else []
        told = inspect.getdoc(models[0]) or "" if models else ""
        rows = list(_rows_of(name, schema, field, content, name))
    used = sorted(stage for stage, declared in schemas.items() if name in declared.model_fields and name not in schemas)
    by = f" Read by {', '.join(used)}." if used else ""
    lines = [f"## {name}\n", f"{' '.join(told.split())}{by}\n", *(_table(rows) if rows else ["No keys.\n"])]
    return [*lines, OVERRIDES] if name == "rounds" else lines


def _in_order(fields: Iterable[str], values: Any) -> list[str]:
    """Fields as params.yaml has them, those that it leaves out behind them."""
    names = list(fields)
    return [*(key for key in values or () if key in names), *(name for name in names if name not in (values or ()))]


def _table(rows: Sequence[Row]) -> list[str]:
    return ["| key | type | bounds | value | what it does |", "|---|---|---|---|---|", *map(str, rows), ""]


def _shared_field(key: str, schemas: Mapping[str, type[BaseModel]]) -> tuple[type[BaseModel] | None, str]:
    """A stage's settings that have such a field, best with settings in it; None where no stage reads it, as DVC alone does ``launcher``."""
    readers = [schema for schema in schemas.values() if key in schema.model_fields]
    readers.sort(key=lambda schema: not list(models_in(schema.model_fields[key].annotation)))
    return (readers[0] if readers else None), key


def _rows_of(key: str, schema: type[BaseModel] | None, field: str, content: Mapping[str, Any], place: str) -> Iterator[Row]:
    """The lines of a field, and of the settings inside it.

    Args:
        key: what the lines begin with.
        schema: that has the field; None where no stage reads it.
        field: its name.
        content: of params.yaml.
        place: where its value stands in it.
    """
    steps = place.split(".")
    if schema is None:
        yield Row(key, "text", "", _shown(_at(content, steps)), _comment(content, steps))
        return
    info = schema.model_fields[field]
    inner = list(models_in(info.annotation))
    value = _at(content, steps)
    default = "" if info.is_required() else f"({_shown(info.get_default(call_default_factory=True))})"
    meaning = docstring_of(schema, field) or _comment(content, steps)
    if not inner or may_be_null(info.annotation):
        kind = "map" if inner else kind_of(info.annotation)
        yield Row(
            key,
            f"{kind} or null" if may_be_null(info.annotation) else kind,
            bounds_of(info),
            _shown(value) if _has(content, steps) else default,
            meaning,
        )
    for model in inner:
        suffix, entry = _entry(info.annotation, value)
        for name in _in_order(model.model_fields, _at(content, [*steps, *entry])):
            yield from _rows_of(f"{key}{suffix}.{name}", model, name, content, ".".join([place, *entry, name]))


def _entry(annotation: Any, value: Any) -> tuple[str, list[str]]:
    """How an entry of a map or list of settings is written, and the one whose values are shown: the first."""
    origins = {get_origin(choice) for choice in choices(annotation)}
    if dict in origins:
        return ".<name>", [str(next(iter(value)))] if isinstance(value, dict) and value else ["?"]
    return ("[]", ["0"]) if list in origins else ("", [])


def _at(content: Any, steps: Sequence[str]) -> Any:
    """The value at a place of params.yaml; None where there is none."""
    for step in steps:
        if isinstance(content, list) and step.isdigit() and int(step) < len(content):
            content = content[int(step)]
        elif isinstance(content, dict) and step in content:
            content = content[step]
        else:
            return None
    return content


def _has(content: Any, steps: Sequence[str]) -> bool:
    holder = _at(content, steps[:-1]) if len(steps) > 1 else content
    return isinstance(holder, dict) and steps[-1] in holder


def _comment(content: Any, steps: Sequence[str]) -> str:
    """The comment beside a key of params.yaml."""
    holder = _at(content, steps[:-1]) if len(steps) > 1 else content
    marks = holder.ca.items.get(steps[-1]) if hasattr(holder, "ca") else None
    text = marks[2].value if marks and marks[2] else ""
    return text.split("\n")[0].lstrip("# ").strip() if text.startswith("#") else ""


def _shown(value: Any) -> str:
    """A value as params.yaml may have it, on one line."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "\\n")
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    sys.exit(main())
