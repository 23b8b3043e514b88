"""dvc.yaml against the code: narrow dependencies, declared parameters, the test set behind a wall, every profile valid."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from dvc_file import outputs, read_stages
from ruamel.yaml import YAML

from stages import dependencies
from tandem.runtime.overlays import list_profiles, render_profile
from tandem.runtime.params import load_params
from tandem.settings import Settings

ROOT = Path(__file__).parents[1]
PIPELINE = read_stages()
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE.items()}
PROFILES = [None, *list_profiles(ROOT / "configs/profiles")]
# Those that measure, the one that looks for leaks, and the page that shows what was measured.
SEARCHING = {"evaluate_baselines", "evaluate_retriever", "evaluate_retriever_r0", "evaluate_expanded"}
MEASURING = {*SEARCHING, "evaluate_fusion", "evaluate_reranked"}
READERS_OF_THE_TEST_SET = {*MEASURING, "check_leaks", "write_report"}
WRITES_NO_RECORD = {"sync_tracking", "write_report"}
WITHOUT_PARAMS = {"sync_tracking", "inputs"}


def module_of(stage: dict[str, Any]) -> str:
    return re.search(r"-m (stages\.\w+)", stage["cmd"]).group(1)  # type: ignore[union-attr]


def test_code_dependencies_are_the_imports() -> None:
    assert dependencies.main(["--check"]) == 0, "run python -m stages.dependencies"


def test_a_dependency_too_many_or_too_few_is_mended() -> None:
    text = (ROOT / "dvc.yaml").read_text()
    fewer = text.replace("      - src/tandem/records.py\n", "", 1)
    stale = fewer.replace("      - stages/sample_pairs.py\n", "      - stages/train_generator.py\n", 1)
    assert stale != text
    assert dependencies.render(stale, Path()) == text


@pytest.mark.parametrize("name", [name for name in STAGES if name not in WITHOUT_PARAMS])
def test_parameters_are_the_schema(name: str) -> None:
    """A stage depends on its section, where it has one, and on the shared top-level keys that its schema asks for, and on nothing else."""
    module = module_of(STAGES[name])
    section = module.removeprefix("stages.")
    schema = importlib.import_module(module).Params
    content = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    shared = {key for key in schema.model_fields if key in content and key not in content.get(section, {})}
    assert set(STAGES[name]["params"]) == {*shared, *({section} & {*content})}


@pytest.mark.parametrize("name", list(STAGES))
def test_every_path_of_a_command_is_declared(name: str) -> None:
    stage = STAGES[name]
    declared = set(stage.get("deps", []))
    for kind in ("outs", "metrics", "plots"):
        declared |= {next(iter(item)) if isinstance(item, dict) else item for item in stage.get(kind, [])}
    flags = re.findall(r"--[\w-]+ (\S*/\S*|records)", stage["cmd"])
    flags = [flag for flag in flags if not flag.startswith("out/cache/")]  # written by several stages, which DVC knows no outputs of
    assert all(
        flag in declared or str(Path(flag).parent) in declared or any(Path(flag) in Path(d).parents for d in declared) for flag in flags
    )
    assert stage["desc"]


def test_only_evaluation_reads_the_test_set() -> None:
    readers = {name for name, stage in STAGES.items() if any(d.startswith("out/data/test") for d in stage.get("deps", []))}
    assert readers == READERS_OF_THE_TEST_SET
    mentions = {name for name, stage in STAGES.items() if "out/data/test" in stage["cmd"]}
    assert mentions == READERS_OF_THE_TEST_SET | {"prepare_corpus"}
    values = {name for name, stage in STAGES.items() if {"out/evaluation", "out/evaluation/test"} & set(stage.get("deps", []))}
    assert values == {"compare_rounds", "write_report"}
    gate = STAGES["choose_champion"]["deps"]
    assert {"out/evaluation/dev", "out/evaluation/guard"} <= set(gate)
    assert not [dep for dep in gate if "test" in dep or dep in ("metrics", "out/data")]


def test_what_is_measured_on_the_test_set_trains_nothing() -> None:
    """From whatever reads the test set, no path of dependencies leads to a stage that trains, generates, filters or chooses."""
    tainted = {out for name in READERS_OF_THE_TEST_SET for out in outputs(STAGES[name])}
    # What is chosen on dev, in the stages that measure: tests/evaluation/test_fusing.py changes the test judgements, and the weights stay.
    dev = ("out/evaluation/dev", "out/evaluation/guard", "out/evaluation/systems.json", "out/records/")
    tainted -= {out for out in tainted if out.startswith(dev)}
    for name, stage in STAGES.items():
        touched = [dep for dep in stage.get("deps", []) if any(out == dep or out.startswith(f"{dep}/") for out in tainted)]
        measuring = {"evaluate_expanded", "evaluate_fusion", "evaluate_reranked"}
        assert not touched or name in measuring | {"compare_rounds", "write_report", "sync_tracking"}, (name, touched)


def test_outputs_have_one_writer() -> None:
    seen: set[str] = set()
    for stage in STAGES.values():
        for kind in ("outs", "metrics", "plots"):
            for item in stage.get(kind, []):
                path = next(iter(item)) if isinstance(item, dict) else item
                assert path not in seen
                seen.add(path)


def rendered(profile: str | None, folder: Path) -> Path:
    path = folder / "params.yaml"
    path.write_text(render_profile((ROOT / "params.yaml").read_text(), ROOT / "configs/profiles", profile))
    return path


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_loads_through_every_schema(profile: str | None, tmp_path: Path) -> None:
    path = rendered(profile, tmp_path)
    for name, stage in STAGES.items():
        if name in WITHOUT_PARAMS:
            continue
        module = module_of(stage)
        schema: type[Settings] = importlib.import_module(module).Params
        load_params(path, module.removeprefix("stages."), schema)
    content = YAML(typ="safe").load(path.read_text())
    assert set(content) == set(YAML(typ="safe").load((ROOT / "params.yaml").read_text()))


@pytest.mark.parametrize("profile", PROFILES)
def test_rounds_and_updates_fit(profile: str | None, tmp_path: Path) -> None:
    """Every round comes after the one it names, and every generator is the fine-tuned one or made by an update before it."""
    path = rendered(profile, tmp_path)
    content = YAML(typ="safe").load(path.read_text())
    rounds, generators = ["r0"], ["g1"]
    for name, update in content["updates"].items():
        assert update["base"] in generators
        assert update["round"] in content["rounds"]
        generators.append(name)
    for name, entry in content["rounds"].items():
        assert entry["prev"] in rounds
        assert entry["generator"] in generators
        rounds.append(name)
