"""Sections of params.yaml with a round's overrides, and what is said of values that cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages import generate_queries, improve_generator, index_bm25, inputs, train_retriever
from tandem.formats.errors import ParamsError
from tandem.runtime.inputs import write_inputs
from tandem.runtime.params import load_params, locate_error, read_params
from tandem.runtime.plan import STAGES, PlanName
from tandem.settings import SettingError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The quickstart's file, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    return Path("params.yaml")


def plan(path: Path, section: str, name: str, **overrides: object) -> None:
    """Write overrides of a round or update into the file."""
    yaml = YAML()
    content = yaml.load(path.read_text())
    content[section][name].update(overrides)
    with path.open("w") as file:
        yaml.dump(content, file)


def test_a_round_has_its_values_and_no_other_round_has(params: Path) -> None:
    plan(params, "rounds", "r2", generate_queries={"temperature": 0.9, "served": {"retries": 1}}, sampled_documents=50)
    for name, expected in (("r1", (0.7, 150, 5)), ("r2", (0.9, 50, 1)), ("r0", (0.7, 150, 5))):
        values = load_params(params, "generate_queries", generate_queries.Params, entry=("rounds", name))
        assert (values.temperature, values.sampled_documents, values.served.retries) == expected
        assert values.served.timeout_seconds == 120.0


def test_an_update_has_its_values(params: Path) -> None:
    plan(params, "updates", "g2", improve_generator={"ppo": {"steps": 20}})
    values = load_params(params, "improve_generator", improve_generator.Params, entry=("updates", "g2"))
    assert (values.ppo.steps, values.ppo.batch_size, values.group.steps) == (20, 24, 8)


def test_a_round_may_have_a_shared_setting_of_a_stage(params: Path) -> None:
    plan(params, "rounds", "r1", train_retriever={"seed": 7, "retriever": {"layers": 1}})
    values = load_params(params, "train_retriever", train_retriever.Params, entry=("rounds", "r1"))
    assert (values.seed, values.retriever.layers, values.retriever.dimensions) == (7, 1, 128)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"top_p": 1.5}, r"params\.yaml: rounds\.r2\.top_p: Input should be less than or equal to 1, found 1\.5; allowed: above 0, to 1"),
        ({"generate_queries": {"temperature": -1.0}}, r"params\.yaml: rounds\.r2\.generate_queries\.temperature: .*found -1\.0"),
        (
            {"generate_queries": {"temprature": 1.0}},
            r"params\.yaml: rounds\.r2\.generate_queries\.temprature: .*keys allowed: .*temperature",
        ),
        ({"evaluate_retriever": {"depth": 5}}, r"params\.yaml: rounds\.r2\.evaluate_retriever\.depth"),
        ({"rank_start": 60}, r"params\.yaml: mine_negatives, with rounds\.r2's values: rank_start: 60 found, at most rank_end, 50"),
    ],
)
def test_overrides_are_checked_before_the_first_stage(params: Path, overrides: dict[str, object], message: str) -> None:
    plan(params, "rounds", "r2", **overrides)
    with pytest.raises(ParamsError, match=message):
        inputs.check_sections(read_params(params), params)


def test_each_stage_of_a_round_has_a_file_of_its_overrides(params: Path) -> None:
    """So that DVC runs that stage again, and no other round's; a file that a round alone reads counts by its content."""
    plan(params, "rounds", "r2", generate_queries={"backend": "file", "file": "queries.jsonl"}, steps=48)
    folder, memory = Path("out/data/inputs"), Path(".scratch/inputs.json")

    def written() -> dict[str, bytes]:
        write_inputs(read_params(params), params, folder, memory)
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.json"))}

    Path("queries.jsonl").write_text("one")
    before = written()
    entries: list[tuple[PlanName, str]] = [("rounds", "r1"), ("rounds", "r2"), ("updates", "g2")]
    expected = {f"{plan}/{name}/{stage}.json" for plan, name in entries for stage in STAGES[plan]}
    assert {name for name in before if "/" in name} == expected
    assert b"48" in before["rounds/r2/train_retriever.json"]
    Path("queries.jsonl").write_text("two, longer")
    after = written()
    assert [name for name in before if before[name] != after[name]] == ["rounds/r2/generate_queries.json"]
    plan(params, "rounds", "r2", steps=47)
    last = written()
    assert [name for name in after if after[name] != last[name]] == ["rounds/r2/train_retriever.json"]


def test_a_file_without_updates_has_the_folder_all_the_same(params: Path) -> None:
    """DVC asks for every output of a stage."""
    write_inputs({"rounds": {}, "updates": {}}, params, Path("inputs"), Path(".scratch/inputs.json"))
    assert [path.name for path in sorted(Path("inputs").iterdir())] == ["rounds", "updates"]


def test_an_older_key_is_told_its_name_today_and_the_command(params: Path) -> None:
    params.write_text(params.read_text().replace("  temperature: 1.0             # of the MaxSim", "  scale: 1.0 # of the MaxSim"))
    with pytest.raises(ParamsError) as error:
        load_params(params, "train_retriever", train_retriever.Params)
    assert str(error.value) == (
        "params.yaml: train_retriever.scale: Extra inputs are not permitted, found 1.0; it is called train_retriever.temperature now, "
        "one over the scale: `tandem migrate-params params.yaml` rewrites the file"
    )


def test_an_unknown_key_lists_those_beside_it(params: Path) -> None:
    params.write_text(params.read_text().replace("    minibatch_size: 12", "    minibatch: 12"))
    with pytest.raises(ParamsError, match=r"improve_generator\.ppo\.minibatch: .*keys allowed: steps, batch_size, minibatch_size"):
        load_params(params, "improve_generator", improve_generator.Params)


def test_a_value_that_the_code_refuses_names_the_override(params: Path) -> None:
    plan(params, "rounds", "r2", train_retriever={"retriever": {"layers": 9}})
    values = load_params(params, "train_retriever", train_retriever.Params, entry=("rounds", "r2"))
    error = SettingError("layers", "9 found, 1 to 6 allowed")
    error.settings = values.retriever
    told = {
        name: str(locate_error(error, params, "train_retriever", values, entry=("rounds", name))).removeprefix("params.yaml: ")
        for name in ("r1", "r2")
    }
    assert told["r2"] == "rounds.r2.train_retriever.retriever.layers: 9 found, 1 to 6 allowed"
    assert told["r1"] == "retriever.layers: 9 found, 1 to 6 allowed"


def test_a_stage_without_settings_of_its_own_needs_no_section(params: Path) -> None:
    """Nothing but what stands at the top level; where a setting is missing, the error is about the section."""
    values = load_params(params, "index_bm25", index_bm25.Params)
    assert values.bm25.k1 == 0.9
    assert str(locate_error(SettingError("bm25.k1", "no"), params, "index_bm25", values)) == "params.yaml: bm25.k1: no"
    params.write_text(params.read_text().replace("train_retriever:", "other:"))
    with pytest.raises(ParamsError, match=r"no section 'train_retriever'; there are: .*other"):
        load_params(params, "train_retriever", train_retriever.Params)
