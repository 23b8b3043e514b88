"""dvc.yaml as tests see it: `foreach` unrolled over params.yaml, and a stage's outputs."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]


def stages(params_file: Path = ROOT / "params.yaml", pipeline: Path = ROOT / "dvc.yaml") -> dict[str, dict[str, Any]]:
    """The stages with `foreach` unrolled and values filled in from params.yaml."""
    yaml = YAML(typ="safe")
    params = yaml.load(params_file.read_text())
    values = {f"{section}.{key}": str(value) for section, own in params.items() if isinstance(own, dict) for key, value in own.items()}
    values |= {key: str(value) for key, value in params.items() if not isinstance(value, dict)}
    values |= {f"rerankers.{name}.{key}": str(value) for name, own in params.get("rerankers", {}).items() for key, value in own.items()}
    unrolled = {}
    for name, stage in read_stages(pipeline).items():
        if "foreach" not in stage:
            unrolled[name] = _fill(stage, values)
            continue
        if isinstance(stage["foreach"], list):
            unrolled |= {f"{name}@{item}": _fill(stage["do"], {**values, "item": item}) for item in stage["foreach"]}
            continue
        for key, item in params[re.sub(r"\W", "", stage["foreach"])].items():
            unrolled[f"{name}@{key}"] = _fill(stage["do"], {**values, "key": key, **{f"item.{k}": str(v) for k, v in item.items()}})
    return unrolled


def read_stages(pipeline: Path = ROOT / "dvc.yaml") -> dict[str, dict[str, Any]]:
    """The stages of a dvc.yaml as they are written, with those of the file beside it that come before all others."""
    first = pipeline.parent / "stages/dvc.yaml"
    files = [*([first] if first.is_file() else []), pipeline]
    return {name: stage for file in files for name, stage in YAML(typ="safe").load(file.read_text())["stages"].items()}


def in_order(unrolled: dict[str, dict[str, Any]]) -> list[str]:
    """The names of stages, each after those whose outputs it reads."""
    makers = {path: name for name, stage in unrolled.items() for path in outputs(stage)}
    waits = {
        name: {maker for dep in stage.get("deps", []) for path, maker in makers.items() if _touch(path, dep)} - {name}
        for name, stage in unrolled.items()
    }
    order: list[str] = []
    while len(order) < len(waits):
        order += [name for name, before in waits.items() if name not in order and before <= set(order)]
    return order


def call_stage(name: str, recipe: Path) -> None:
    """Run a stage of a recipe in this process, with the flags of its dvc.yaml and the params.yaml of the current folder."""
    words = shlex.split(stages(Path("params.yaml"), recipe / "dvc.yaml")[name]["cmd"])
    importlib.import_module(words[words.index("-m") + 1]).main(words[words.index("-m") + 2 :])


def read_rows(path: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def _touch(path: str, dep: str) -> bool:
    return path == dep or path.startswith(f"{dep}/") or dep.startswith(f"{path}/")


def _fill(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_fill(key, names): _fill(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, names) for item in value]
    return re.sub(r"\$\{([\w.]+)\}", lambda match: names[match.group(1)], value) if isinstance(value, str) else value


def outputs(stage: dict[str, Any]) -> set[str]:
    items = [item for kind in ("outs", "metrics", "plots") for item in stage.get(kind, [])]
    return {next(iter(item)) if isinstance(item, dict) else item for item in items}
