"""What keeps the code easy to change, measured: arguments and lines of functions, lines of files, variables that say nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(*folders: str) -> Iterator[tuple[str, Function]]:
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def arguments(function: Function) -> list[str]:
    """Their names, with those that take any number, without the object itself."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if argument]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def test_the_count_is_of_all_kinds_of_arguments() -> None:
    (function,) = ast.parse("def f(self, a, /, b, *c, d=1, **e): ...").body
    assert isinstance(function, ast.FunctionDef)
    assert arguments(function) == ["a", "b", "d", "c", "e"]


def test_no_function_has_more_than_eight_arguments() -> None:
    """Settings are passed whole: who needs a ninth has an object without a name."""
    assert not [place for place, function in functions("src", "stages", "benchmarks", "pretraining") if len(arguments(function)) > 8]


def test_stages_declare_read_call_and_write() -> None:
    mains = {place: function for place, function in functions("stages") if place.endswith(" main")}
    assert len(mains) > 30
    assert not [place for place, main in mains.items() if (main.end_lineno or 0) - main.lineno >= 30]


def test_files_keep_to_their_budget() -> None:
    """A stage has 70 lines; any other file has 300."""
    for path in (path for folder in ("src", "stages", "benchmarks", "pretraining") for path in (ROOT / folder).rglob("*.py")):
        is_stage = path.parent.name == "stages" and path.stem not in {"dependencies", "parameters", "runtime"}
        assert len(path.read_text(encoding="utf8").splitlines()) <= (70 if is_stage else 300), path


def test_functions_keep_to_their_budget() -> None:
    """Forty lines of code a function, its docstring and signature not counted."""
    for place, function in functions("src", "stages"):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        assert lines <= 40, f"{place} has {lines}"


@pytest.mark.parametrize("folder", ["src", "stages"])
def test_no_variable_is_called_own(folder: str) -> None:
    """Its owner is what the reader looks for."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            names = [node.id] if isinstance(node, ast.Name) else [node.arg] if isinstance(node, ast.arg) else []
            assert not {"own", "_own"} & {*names}, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
