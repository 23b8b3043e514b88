"""The plan of a loop checked: each round and update names what comes before it, and overrides settings that its stages have.

``rounds.r2: {prev: r1, generator: g2, steps: 48}`` changes the one setting ``steps`` that a stage of a round has, for round r2 alone;
``generate_queries: {temperature: 0.9}`` in place of ``steps: 48`` names the stage, as it must where several have such a key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from tandem.formats.errors import ParamsError
from tandem.runtime.rounds import FIRST_GENERATOR, FIRST_ROUND, RoundPlan, UpdatePlan

__all__ = ["STAGES", "Overrides", "Plan", "PlanName", "check_plan", "merge_settings", "read_overrides"]

PlanName = Literal["rounds", "updates"]
STAGES: dict[PlanName, tuple[str, ...]] = {
    "rounds": (
        "generate_queries",
        "filter_queries",
        "select_queries",
        "mine_negatives",
        "train_retriever",
        "build_index",
        "evaluate_retriever",
        "index_expanded",
        "evaluate_expanded",
    ),
    "updates": ("score_difficulty", "build_preferences", "train_reward_model", "improve_generator"),
}
"""stages that dvc.yaml unrolls over each of the two"""
FORMS: dict[PlanName, type[RoundPlan] | type[UpdatePlan]] = {"rounds": RoundPlan, "updates": UpdatePlan}
FIRST: dict[PlanName, str] = {"rounds": FIRST_ROUND, "updates": FIRST_GENERATOR}
MAKERS: dict[str, PlanName] = {"prev": "rounds", "round": "rounds", "generator": "updates", "base": "updates"}
"""which of the two makes what a key names"""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Plan:
    """The rounds and updates of a params.yaml, in its order."""

    rounds: dict[str, RoundPlan] = field(default_factory=dict)
    updates: dict[str, UpdatePlan] = field(default_factory=dict)


@dataclass(frozen=True)
class Overrides:
    """Settings that one entry of the plan changes: by stage, and the keys that were written without their stage."""

    entry: str = ""
    """rounds.r2"""
    by_stage: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    bare: frozenset[str] = frozenset()

    def place_of(self, stage: str, location: tuple[str | int, ...]) -> str:
        """The key of params.yaml that set a value of a stage, where an override did; empty where the stage's section did."""
        inner: JsonValue = self.by_stage.get(stage, {})
        for step in location:
            if not isinstance(inner, dict) or step not in inner:
                return ""
            inner = inner[str(step)]
        written = location if location and location[0] in self.bare else (stage, *location)
        return ".".join([self.entry, *map(str, written)]) if location else ""


def check_plan(content: Mapping[str, Any], path: Path) -> Plan:
    """Read and check the rounds and updates of a params.yaml; one that has neither, as a recipe's, has an empty plan.

    Args:
        content: of the file.
        path: of the file, for the error.

    Raises:
        ParamsError: an entry of another form, a round or generator that no entry makes, two that wait for each other, or an override
            that no stage has, or more than one.
    """
    if not any(section in content for section in STAGES):
        return Plan()
    entries = {section: _read_entries(content.get(section), section, path) for section in STAGES}
    waits: dict[tuple[PlanName, str], list[tuple[PlanName, str]]] = {place: [] for place in FIRST.items()}
    for section, plans in entries.items():
        for name, plan in plans.items():
            needed = {key: getattr(plan, key) for key in type(plan).model_fields}
            _check_names(needed, entries, f"{path}: {section}.{name}")
            waits[section, name] = [(MAKERS[key], value) for key, value in needed.items()]
            read_overrides(content, section, name, path)
    _check_order(waits, path)
    return Plan(**entries)


def read_overrides(content: Mapping[str, Any], section: PlanName, name: str, path: Path) -> Overrides:
    """The settings that a round or an update changes, by stage; none for a name that is not in the plan, as r0.

    Args:
        content: of a params.yaml.
        section: rounds or updates.
        name: of the entry.
        path: of the file, for the error.

    Raises:
        ParamsError: a key that no stage has, or more than one; what is no map of keys under a stage's name.
    """
    if name not in (content.get(section) or {}):
        return Overrides()
    plan = _validate(content[section][name], section, name, path)
    by_stage: dict[str, dict[str, JsonValue]] = {}
    bare = [key for key in plan.overrides if key not in STAGES[section]]
    for key in bare:
        stage = _only_holder(content, section, key, f"{path}: {section}.{name}")
        by_stage.setdefault(stage, {})[key] = plan.overrides[key]
    for stage in (key for key in plan.overrides if key in STAGES[section]):
        values = plan.overrides[stage]
        if not isinstance(values, dict):
            raise ParamsError(f"{path}: {section}.{name}.{stage}: {values!r:.60} found, a map of the stage's keys is expected")
        if twice := sorted({*values} & {*by_stage.get(stage, {})}):
            raise ParamsError(f"{path}: {section}.{name}.{twice[0]}: also found as {section}.{name}.{stage}.{twice[0]}; keep one of them")
        by_stage.setdefault(stage, {}).update(values)
    return Overrides(f"{section}.{name}", by_stage, frozenset(bare))


def merge_settings(values: Mapping[str, Any], overrides: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Values with overrides put over them, maps key by key; lists and all else are replaced."""
    merged = dict(values)
    for key, value in overrides.items():
        before = merged.get(key)
        merged[key] = merge_settings(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _only_holder(content: Mapping[str, Any], section: PlanName, key: str, place: str) -> str:
    """The one stage of a round or update whose section has a key."""
    keys = {stage: list(content[stage]) for stage in STAGES[section] if isinstance(content.get(stage), Mapping)}
    holders = [stage for stage, names in keys.items() if key in names]
    if len(holders) == 1:
        return holders[0]
    if holders:
        forms = " or ".join(f"{stage}: {{{key}: ...}}" for stage in holders)
        raise ParamsError(f"{place}.{key}: {len(holders)} stages have such a key; name the one that is meant: {forms}")
    candidates = [f"{stage}.{name}" for stage, names in keys.items() for name in difflib.get_close_matches(key, names, n=3)]
    nested = [
        f"{stage}.{name}.{key}" for stage in keys for name, value in content[stage].items() if isinstance(value, Mapping) and key in value
    ]
    hint = f"; near to it: {', '.join([*nested, *candidates])}" if candidates or nested else ""
    raise ParamsError(
        f"{place}.{key}: no stage has such a key{hint}; allowed: a key of {', '.join(STAGES[section])}, or one of these as a map"
    )


def _check_names(needed: Mapping[str, str], entries: Mapping[PlanName, Mapping[str, object]], place: str) -> None:
    """Everything that an entry names is made by another, or is there from the start."""
    for key, value in needed.items():
        start = [] if key == "round" else [FIRST[MAKERS[key]]]  # round 0 has no queries of a generator to learn from
        known = [*start, *entries[MAKERS[key]]]
        if value not in known:
            allowed = ", ".join(known) or "none, for there is none"
            raise ParamsError(f"{place}.{key}: {value!r} found, which no entry of {MAKERS[key]} makes; allowed: {allowed}")


def _check_order(waits: Mapping[tuple[PlanName, str], list[tuple[PlanName, str]]], path: Path) -> None:
    """Everything can be made at some time: nothing waits for itself."""
    done: set[tuple[PlanName, str]] = set()
    while ready := {place for place, needed in waits.items() if place not in done and done.issuperset(needed)}:
        done |= ready
    if stuck := [".".join(place) for place in waits if place not in done]:
        raise ParamsError(f"{path}: {', '.join(stuck)}: each waits for another; a round's prev and generator come before it")


def _read_entries(entries: Any, section: PlanName, path: Path) -> dict[str, Any]:
    keys = list(FORMS[section].model_fields)
    form = f"{{{keys[0]}: ..., {keys[1]}: ...}}"
    if not isinstance(entries, dict):
        raise ParamsError(f"{path}: {section}: {entries!r:.60} found, a map of names to {form} is expected; {{}} for none")
    for name, entry in entries.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ParamsError(
                f"{path}: {section}: the name {name!r:.60} found; letters, digits, - and _ are allowed, for folders are called so"
            )
        if name in FIRST.values():
            raise ParamsError(f"{path}: {section}.{name}: '{name}' is what every pipeline starts with; give the entry another name")
        if not isinstance(entry, dict) or not set(keys) <= set(entry) or not all(isinstance(entry[key], str) for key in keys):
            raise ParamsError(f"{path}: {section}.{name}: {entry!r:.80} found, {form} is expected")
    return {name: _validate(entry, section, name, path) for name, entry in entries.items()}


def _validate(entry: Any, section: PlanName, name: str, path: Path) -> RoundPlan | UpdatePlan:
    try:
        return FORMS[section].model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise ParamsError(
            f"{path}: {'.'.join([section, name, *map(str, first['loc'])])}: {first['msg']}, found {first['input']!r:.60}"
        ) from None
