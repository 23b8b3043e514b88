"""Every number in params.yaml has a lower and an upper bound, in every schema and whatever is nested in it."""

from __future__ import annotations

import importlib
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from stages import inputs
from stages.inputs import check_sections
from tandem.cli.doctor import LocalSource
from tandem.runtime.params import ParamsError, load_params, read_params

ROOT = Path(__file__).parents[2]
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if "class Params(" in path.read_text())
SCHEMAS = {name: importlib.import_module(f"stages.{name}").Params for name in STAGES}


def numbers(schema: type[BaseModel], path: str, seen: frozenset[type] = frozenset()) -> Iterator[tuple[str, bool]]:
    """Every number below a schema, and whether it is bounded on both sides."""
    for name, field in schema.model_fields.items():
        yield from _numbers(field.annotation, _limits(field), f"{path}.{name}", seen | {schema})


def _limits(field: FieldInfo) -> set[str]:
    return {limit for item in field.metadata for limit in _names(item)}


def _names(item: Any) -> set[str]:
    return {limit for limit in ("ge", "gt", "le", "lt") if getattr(item, limit, None) is not None}


def _numbers(annotation: Any, limits: set[str], path: str, seen: frozenset[type]) -> Iterator[tuple[str, bool]]:
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *metadata = typing.get_args(annotation)
        for item in metadata:
            limits = limits | (_limits(item) if isinstance(item, FieldInfo) else _names(item))
        yield from _numbers(inner, limits, path, seen)
    elif annotation in (int, float):
        yield path, bool({"ge", "gt"} & limits) and bool({"le", "lt"} & limits)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        yield from numbers(annotation, path, seen)
    elif typing.get_origin(annotation) is not typing.Literal:
        for argument in typing.get_args(annotation):
            if argument is not types.NoneType:
                yield from _numbers(argument, limits, path, seen)


@pytest.mark.parametrize("stage", STAGES)
def test_every_number_is_bounded(stage: str) -> None:
    assert [path for path, bounded in numbers(SCHEMAS[stage], stage) if not bounded] == []


def test_what_the_doctor_reads_is_bounded_too() -> None:
    assert [path for path, bounded in numbers(LocalSource, "doctor") if not bounded] == []


def test_the_walk_finds_numbers_wherever_they_are() -> None:
    found = dict(path for stage in STAGES for path in numbers(SCHEMAS[stage], stage))
    for path in (
        *("train_retriever.learning_rate", "improve_generator.ppo.target_kl", "train_generator.lora.rank", "build_baselines.bm25.k1"),
        *(
            "build_index.plaid.cells",
            "filter_queries.rules.k",
            "train_reranker.rerankers.steps",
            "generate_queries.served.retries",
        ),
    ):
        assert path in found
    assert len(found) > 180
    bare = type("Bare", (BaseModel,), {"__annotations__": {"steps": int, "rates": list[float] | None}})
    assert list(numbers(bare, "bare")) == [("bare.steps", False), ("bare.rates", False)]


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed"),
    [
        ("train_retriever", "learning_rate", -1.0, "greater than 0"),
        ("train_retriever", "steps", -3, "greater than or equal to"),
        ("generate_queries", "top_p", 5.0, "less than or equal to 1"),
        ("train_retriever", "evaluations", 0, "greater than or equal to 1"),
        ("train_retriever", "learning_rate", math.nan, "finite number"),
        ("train_retriever", "temperature", math.inf, "finite number"),
        ("select_queries", "temperature", 0.0, "greater than 0"),
        ("choose_champion", "alpha", 1.5, "less than"),
        ("improve_generator", "lora_rank", 0, "greater than or equal to 1"),
        ("sample_pairs", "dev_share", 2.0, "less than or equal to 1"),
        ("prepare_corpus", "documents", 0, "greater than or equal to"),
    ],
)
def test_a_value_out_of_bounds_is_one_line(tmp_path: Path, section: str, key: str, value: Any, allowed: str) -> None:
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text())
    content[section][key] = value
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        yaml.dump(content, file)
    with pytest.raises(ParamsError) as error:
        load_params(path, section, SCHEMAS[section])
    message = str(error.value)
    assert f"{path}: {section}.{key}: " in message
    assert allowed in message
    assert f"found {value!r}" in message
    assert "\n" not in message
    assert "; allowed: " in message  # both ends


def test_both_ends_of_a_range_are_named(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    for old, new, ends in (
        ("alpha: 0.05", "alpha: 1.5", "choose_champion.alpha: .*; allowed: above 0, below 1"),
        ("k1: 0.9", "k1: -2.0", "bm25.k1: .*; allowed: from 0, to 10"),
        ("  steps: ", "  steps: -", ".*steps: .*; allowed: from 1, to 100000000"),
    ):
        assert old in text
        (tmp_path / "params.yaml").write_text(text.replace(old, new))
        with pytest.raises(ParamsError, match=ends):
            check_sections(read_params(tmp_path / "params.yaml"), tmp_path / "params.yaml")


def test_every_section_is_checked_before_the_first_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the last stage would refuse ends the first one, once for each content of params.yaml."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("write_report:", "write_report:\n  unknown: 1", 1))
    with pytest.raises(ParamsError, match=r"write_report\.unknown"):
        inputs.main(["--inputs", "inputs"])
    assert not Path("inputs").exists()
    path.write_text(text)
    inputs.main(["--inputs", "inputs"])
    monkeypatch.setattr(inputs, "check_sections", lambda *_: pytest.fail("checked twice"))
    inputs.main(["--inputs", "inputs"])
    assert Path("inputs/launcher.json").read_text() == "{}\n"


def test_the_seed_too(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("seed: 13 ", "seed: -1 ", 1)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"seed: Input should be greater than or equal to 0, found -1"):
        load_params(tmp_path / "params.yaml", "sample_pairs", SCHEMAS["sample_pairs"])
