"""The plan of a loop: typed rounds and updates, what they name, and the settings that one of them overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tandem.formats.errors import ParamsError
from tandem.runtime.plan import Overrides, check_plan, merge_settings, read_overrides
from tandem.runtime.rounds import RoundPlan, UpdatePlan, trace_rounds

PATH = Path("params.yaml")


def content(**changes: Any) -> dict[str, Any]:
    return {
        "rounds": {"r1": {"prev": "r0", "generator": "g1"}, "r2": {"prev": "r1", "generator": "g2"}},
        "updates": {"g2": {"base": "g1", "round": "r1"}},
        "generate_queries": {"temperature": 0.7, "top_p": 0.9, "served": {"retries": 5}},
        "select_queries": {"temperature": 1.0, "mode": "off"},
        "train_retriever": {"temperature": 1.0, "steps": 24},
        "improve_generator": {"ppo": {"steps": 10, "clip": 0.2}, "group": {"steps": 10}, "order": "easy_first"},
        "train_reward_model": {"epochs": 1},
        **changes,
    }


def planned(entry: dict[str, Any], section: str = "rounds", name: str = "r2") -> dict[str, Any]:
    values = content()
    values[section] = {**values[section], name: {**values[section][name], **entry}}
    return values


def test_a_plan_is_typed() -> None:
    plan = check_plan(planned({"steps": 48}), PATH)
    assert plan.rounds["r1"] == RoundPlan(prev="r0", generator="g1")
    assert plan.rounds["r2"].overrides == {"steps": 48}
    assert plan.updates == {"g2": UpdatePlan(base="g1", round="r1")}
    assert plan.rounds["r2"].model_dump() == {"prev": "r1", "generator": "g2", "steps": 48}  # as it stands in params.yaml
    assert check_plan({"seed": 1}, PATH).rounds == {}


def test_a_key_that_one_stage_has_is_that_stage_s() -> None:
    overrides = read_overrides(planned({"steps": 48, "generate_queries": {"temperature": 0.9}}), "rounds", "r2", PATH)
    assert overrides.by_stage == {"train_retriever": {"steps": 48}, "generate_queries": {"temperature": 0.9}}
    assert overrides.place_of("train_retriever", ("steps",)) == "rounds.r2.steps"
    assert overrides.place_of("generate_queries", ("temperature",)) == "rounds.r2.generate_queries.temperature"
    assert overrides.place_of("generate_queries", ("top_p",)) == ""
    assert read_overrides(content(), "rounds", "r0", PATH) == Overrides()


def test_maps_are_merged_key_by_key_and_lists_replaced() -> None:
    overrides = read_overrides(planned({"ppo": {"steps": 20}}, "updates", "g2"), "updates", "g2", PATH)
    merged = merge_settings({**content()["improve_generator"], "rules": [1, 2]}, {**overrides.by_stage["improve_generator"], "rules": [3]})
    assert merged == {"ppo": {"steps": 20, "clip": 0.2}, "group": {"steps": 10}, "order": "easy_first", "rules": [3]}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"temperature": 0.9},
            "params.yaml: rounds.r2.temperature: 3 stages have such a key; name the one that is meant: "
            "generate_queries: {temperature: ...} or select_queries: {temperature: ...} or train_retriever: {temperature: ...}",
        ),
        (
            {"step": 48},
            "params.yaml: rounds.r2.step: no stage has such a key; near to it: train_retriever.steps; allowed: a key of generate",
        ),
        ({"retries": 1}, "rounds.r2.retries: no stage has such a key; near to it: generate_queries.served.retries"),
        ({"improve_generator": {"order": "random"}}, "params.yaml: rounds.r2.improve_generator: no stage has such a key"),
        ({"train_retriever": 3}, "params.yaml: rounds.r2.train_retriever: 3 found, a map of the stage's keys is expected"),
        ({"steps": 1, "train_retriever": {"steps": 2}}, "rounds.r2.steps: also found as rounds.r2.train_retriever.steps; keep one of them"),
        ({"prev": "r7"}, "rounds.r2.prev: 'r7' found, which no entry of rounds makes; allowed: r0, r1, r2"),
        ({"prev": 1}, "rounds.r2: {'prev': 1, 'generator': 'g2'} found, {prev: ..., generator: ...} is expected"),
        ({3: 4}, "params.yaml: rounds.r2.3: "),
    ],
)
def test_what_a_round_cannot_override_is_one_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as error:
        check_plan(planned(entry), PATH)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_key_of_two_algorithms_names_its_place() -> None:
    with pytest.raises(ParamsError, match=r"updates\.g2\.steps: no stage has such a key; near to it: .*improve_generator\.ppo\.steps"):
        check_plan(planned({"steps": 20}, "updates", "g2"), PATH)


def test_rounds_before_a_round() -> None:
    rounds = check_plan(content(), PATH).rounds | {"s2": RoundPlan(prev="r1", generator="g1")}
    assert trace_rounds(rounds, "s2") == ["r0", "r1", "s2"]
    assert trace_rounds(rounds, "r0") == ["r0"]
    assert trace_rounds(rounds, "gone") == ["gone"]
    assert trace_rounds({"a": RoundPlan(prev="b", generator="g1"), "b": RoundPlan(prev="a", generator="g1")}, "a") == ["b", "a"]
