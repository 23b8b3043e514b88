"""Tests hurt nobody: they end what they started and nothing else, and read nothing outside the repository but what one variable names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
# By name, whoever's process it is; folders of the user or of this machine; and the way out of the repository.
KILLERS = re.compile(r"\b(pkill|killall)\b")
OUTSIDE = re.compile(r"\.\./shared|^/(work|home|root|usr|opt|data|mnt)\b|^~")


def wrongs(path: Path) -> list[str]:
    """Strings that are commands to kill by name, or paths that lead out; ``parents`` beyond the repository's root; the home folder."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}  # type: ignore[attr-defined]
    depth = len(path.relative_to(ROOT).parts)
    found = []
    for node in ast.walk(tree):
        place = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if KILLERS.search(node.value) or OUTSIDE.search(node.value):
                found.append(f"{place}: {node.value}")
        elif isinstance(node, ast.Attribute) and node.attr in ("home", "expanduser"):
            found.append(f"{place}: {node.attr}")
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            found += [f"{place}: parents[{n.value}]" for n in [node.slice] if isinstance(n, ast.Constant) and int(str(n.value)) >= depth]
    return found


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_test_stays_at_home(path: Path) -> None:
    if path != Path(__file__):
        assert wrongs(path) == []


def test_what_hurt_others_is_found() -> None:
    assert wrongs(Path(__file__))  # the patterns above
    assert KILLERS.search("pkill -9 -f train_retriever")
    assert OUTSIDE.search("../shared/data")
    assert OUTSIDE.search("/usr/share/dict/words")
    assert not KILLERS.search("kill -9 $!")  # its own
