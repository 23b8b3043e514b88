"""Recipes against the code, as tests/test_pipeline.py holds the loop: dependencies, values, the test set behind its wall."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from dvc_file import outputs, stages
from ruamel.yaml import YAML
from test_pipeline import module_of

from tandem.runtime.overlays import list_profiles, render_profile
from tandem.runtime.params import load_params

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path.parent for path in (ROOT / "recipes").glob("*/dvc.yaml"))
STAGES = [
    (recipe, name, stage.get("do", stage))
    for recipe in RECIPES
    for name, stage in YAML(typ="safe").load((recipe / "dvc.yaml").read_text())["stages"].items()
    if name != "inputs"
]
every_stage = pytest.mark.parametrize(("recipe", "name", "stage"), STAGES, ids=lambda value: value if isinstance(value, str) else "")


@every_stage
def test_values_fit_the_schema(recipe: Path, name: str, stage: dict[str, Any], tmp_path: Path) -> None:
    module = module_of(stage)
    section = module.removeprefix("stages.")
    schema = importlib.import_module(module).Params
    content = YAML(typ="safe").load((recipe / "params.yaml").read_text())
    path = tmp_path / "params.yaml"
    for profile in [None, *list_profiles(recipe / "profiles")]:
        path.write_text(render_profile((recipe / "params.yaml").read_text(), recipe / "profiles", profile))
        load_params(path, section, schema)
        assert set(YAML(typ="safe").load(path.read_text())) == set(content)
    shared = {key for key in schema.model_fields if key in content and key not in content.get(section, {})}
    assert {str(key).split(".", maxsplit=1)[0] for key in stage["params"]} == {*shared, *({section} & set(content))}, name


@every_stage
def test_only_evaluation_reads_the_test_set(recipe: Path, name: str, stage: dict[str, Any]) -> None:
    reads = any(dep.startswith("out/data/test") for dep in stage["deps"])
    assert reads == name.startswith("evaluate")
    assert ("out/data/test" in stage["cmd"]) == (reads or name in ("prepare_corpus", "prepare_tasks"))


@every_stage
def test_every_path_of_a_command_is_declared(recipe: Path, name: str, stage: dict[str, Any]) -> None:
    declared = set(stage["deps"])
    for kind in ("outs", "metrics", "plots"):
        declared |= {next(iter(item)) if isinstance(item, dict) else item for item in stage.get(kind, [])}
    flags = re.findall(r"--[\w-]+ (\S*/\S*)", stage["cmd"])
    assert all(flag in declared or str(Path(flag).parent) in declared for flag in flags)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_outputs_have_one_writer(recipe: Path) -> None:
    written = [path for stage in stages(recipe / "params.yaml", recipe / "dvc.yaml").values() for path in outputs(stage)]
    assert len(written) == len(set(written))
