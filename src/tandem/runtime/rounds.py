"""The plan of a loop, params.yaml's ``rounds`` and ``updates``: everything that one of them names is there, and comes before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tandem.runtime.params import ParamsError

__all__ = ["check_rounds"]

KEYS = {"rounds": ("prev", "generator"), "updates": ("base", "round")}
FIXED = {"rounds": "r0", "updates": "g1"}  # what every pipeline starts with; dvc.yaml writes it
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check_rounds(content: Mapping[str, Any], path: Path) -> None:
    """Check the rounds and updates of a params.yaml; one that has neither, as a recipe's, passes.

    Args:
        content: of the file.
        path: of the file, for the error.

    Raises:
        ParamsError: an entry of another form, a round or generator that no entry makes, or two that wait for each other.
    """
    if not any(section in content for section in KEYS):
        return
    plans = {section: _read_plan(content.get(section), section, path) for section in KEYS}
    makers = {"prev": "rounds", "round": "rounds", "generator": "updates", "base": "updates"}
    waits: dict[tuple[str, str], list[tuple[str, str]]] = {(section, name): [] for section, name in FIXED.items()}
    for section, plan in plans.items():
        for name, entry in plan.items():
            for key, value in entry.items():
                fixed = [] if key == "round" else [FIXED[makers[key]]]  # round 0 has no queries of a generator to learn from
                there = [*fixed, *plans[makers[key]]]
                if value not in there:
                    raise ParamsError(
                        f"{path}: {section}.{name}.{key}: {value!r} found, which no entry of {makers[key]} makes; "
                        f"allowed: {', '.join(there) or 'none, for there is none'}"
                    )
            waits[section, name] = [(makers[key], value) for key, value in entry.items()]
    done: set[tuple[str, str]] = set()
    while ready := {name for name, needed in waits.items() if name not in done and done.issuperset(needed)}:
        done |= ready
    stuck = [".".join(place) for place in waits if place not in done]
    if stuck:
        raise ParamsError(f"{path}: {', '.join(stuck)}: each waits for another; a round's prev and generator come before it")


def _read_plan(plan: Any, section: str, path: Path) -> dict[str, dict[str, str]]:
    keys = KEYS[section]
    form = f"{{{keys[0]}: ..., {keys[1]}: ...}}"
    if not isinstance(plan, dict):
        raise ParamsError(f"{path}: {section}: {plan!r:.60} found, a map of names to {form} is expected; {{}} for none")
    for name, entry in plan.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ParamsError(
                f"{path}: {section}: the name {name!r:.60} found; letters, digits, - and _ are allowed, for folders are called so"
            )
        if name in FIXED.values():
            raise ParamsError(f"{path}: {section}.{name}: '{name}' is what every pipeline starts with; give the entry another name")
        if not isinstance(entry, dict) or set(entry) != set(keys):
            raise ParamsError(f"{path}: {section}.{name}: {entry!r:.80} found, {form} is expected")
    return plan
