"""Every key of params.yaml and every output that an error, a docstring or a comment names exists."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc_file import outputs, stages
from pydantic import BaseModel
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
YAML_FILES = [ROOT / "params.yaml", ROOT / "recipes/reranker/params.yaml"]
CONTENT: dict[str, Any] = {}
for _path in reversed(YAML_FILES):
    CONTENT |= YAML(typ="safe").load(_path.read_text())
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")])
OVERLAYS = sorted([*(ROOT / "configs/profiles").glob("*.yaml"), *(ROOT / "recipes").glob("*/profiles/*.yaml")])
KEY = re.compile(r"(?<![\w./:-])([a-z_]+)((?:\.[a-z_{}\d]+)+)(?![\w(/-])")
MODULES = {"bm25.search", "bm25.json", "bm25.terms", "prompt.json", "fusion.json"}  # of Python and files, not of params.yaml
REPORTS = re.compile(r"(?<![\w/.-])((?:metrics|out)/[\w./-]*\.(?:md|json|csv|html|jsonl|npy))\b")


def words_of(path: Path) -> list[tuple[int, str]]:
    """Comments and strings of a Python file, comments alone of YAML, with their lines."""
    text = path.read_text()
    if path.suffix == ".yaml":
        return [(i, line.partition("#")[2]) for i, line in enumerate(text.splitlines(), start=1) if "#" in line]
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    return [(token.start[0], token.string) for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type in kinds]


def schema_of(section: str) -> Any:
    if (ROOT / f"stages/{section}.py").is_file():
        return importlib.import_module(f"stages.{section}").Params
    for path in (ROOT / "stages").glob("*.py"):
        if "class Params(" in path.read_text():
            field = importlib.import_module(f"stages.{path.stem}").Params.model_fields.get(section)
            if field is not None and Any not in typing.get_args(field.annotation):
                return field.annotation
    return None


def has(schema: Any, keys: list[str]) -> bool:
    """Whether a path of keys is there; a name between them, of a reranker or a rule, is any name."""
    if not keys:
        return True
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return keys[0] in schema.model_fields and has(schema.model_fields[keys[0]].annotation, keys[1:])
    inner = [argument for argument in typing.get_args(schema) if argument is not type(None)]
    if typing.get_origin(schema) in (dict, list):
        return has(inner[-1], keys[1:]) or has(inner[-1], keys)
    return any(has(argument, keys) for argument in inner)


def named_keys(path: Path) -> list[tuple[int, str]]:
    found = []
    for line, text in words_of(path):
        for match in KEY.finditer(text):
            name = match.group(0)
            if match.group(1) in CONTENT and isinstance(CONTENT[match.group(1)], dict) and name not in MODULES and "{" not in name:
                found.append((line, name))
    return found


@pytest.mark.parametrize("path", [*SOURCES, *YAML_FILES, *OVERLAYS], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_that_is_named_exists(path: Path) -> None:
    wrong = []
    for line, name in named_keys(path):
        section, *keys = name.split(".")
        if section not in ("rounds", "updates") and not has(schema_of(section), keys):
            wrong.append(f"{path.name}:{line}: {name}")
    assert wrong == []


def fields(schema: Any) -> Iterator[str]:
    """Every key below a schema."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        for name, field in schema.model_fields.items():
            yield name
            yield from fields(field.annotation)
    elif schema is not None:
        for argument in typing.get_args(schema):
            yield from fields(argument)


def shortened_keys(path: Path) -> list[str]:
    """Dotted names in the texts of errors whose last part is a key and whose first is no section: ``generator.template``."""
    keys = {key for section in CONTENT for key in fields(schema_of(section))}
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise):
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            named = [match for text in texts for match in KEY.finditer(text) if match.group(0).split(".")[-1] in keys]
            found += [f"{path.name}:{node.lineno}: {match.group(0)}" for match in named if match.group(1) not in CONTENT]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_name_keys_in_full(path: Path) -> None:
    assert shortened_keys(path) == []


def test_the_two_of_that_day_are_found(tmp_path: Path) -> None:
    source = tmp_path / "errors.py"
    source.write_text("raise ValueError(f'generator.template: {1!r} has none')\nraise ValueError('difficulty.mode: x found')\n")
    assert shortened_keys(source) == ["errors.py:1: generator.template", "errors.py:2: difficulty.mode"]


def test_the_test_finds_what_it_looks_for(tmp_path: Path) -> None:
    names = {name for path in SOURCES for _, name in named_keys(path)}
    assert {"rerankers.relevance", "prompt.template", "retriever.document_tokens"} <= names
    (tmp_path / "nested.py").write_text('"""See improve_generator.ppo.learning_rate."""\n')
    assert [name for _, name in named_keys(tmp_path / "nested.py")] == ["improve_generator.ppo.learning_rate"]
    assert not has(schema_of("prompt"), ["tmplate"])
    assert has(schema_of("rerankers"), ["teacher", "form", "max_length"])


def test_every_output_that_is_named_exists() -> None:
    written = {path for stage in stages().values() for path in outputs(stage)}
    written |= {path for stage in stages(YAML_FILES[1], ROOT / "recipes/reranker/dvc.yaml").values() for path in outputs(stage)}
    written |= {word for stage in stages().values() for word in stage["cmd"].split() if word.startswith("out/cache/")}  # of several stages
    wrong = []
    for path in [*SOURCES, *YAML_FILES, *OVERLAYS]:
        for line, text in words_of(path):
            for name in REPORTS.findall(text):
                inside = any(name == out or name.startswith(f"{out}/") for out in written)
                if not inside and not name.startswith(("out/report/report", "out/data/inputs")):
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert wrong == []
