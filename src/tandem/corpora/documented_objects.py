"""Functions, classes and methods of installed packages with what their docstrings say, section by section."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tandem.corpora.documentation_text import cut_words, doc_sections, first_sentence, plain_text
from tandem.corpora.python_api import Documented, package_modules, package_root, read_documented, split_docstring

__all__ = ["DocumentedObject", "read_objects"]

Kind = Literal["function", "method", "class", "exception"]
PARTS = ("returns", "yields", "parameters", "notes", "explanation")
"""of a body, after its prose"""
LABELS = {"returns": "Returns: ", "yields": "Yields: ", "parameters": "Parameters: "}
PARAMETER = re.compile(r"^(?P<name>\*{0,2}\w+)\s*(?P<type>:[^\n]*|\([^\n]*)", re.MULTILINE)
DEFAULT = re.compile(r"\bdefault(?:s to|=|:| is)?\s*=?\s*[`'\"]*(?P<value>[A-Za-z0-9][\w.+-]*\w|\d)[`'\"]*")
TYPED = re.compile(r"^[`*\w\[\], .|~()'-]{1,60}?:\s+(?=[A-Z`a-z])")
NAME = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class DocumentedObject:
    """An object by its dotted ``name``: what kind it is, its call, the summary and the plain text of its body, cut to a number of words.

    ``result`` is what is said of its return value; ``defaults`` are (parameter, value) as the docstring gives them; ``related`` the names
    of its See Also; ``text`` is the body uncut, ``prose`` the body without sections.
    """

    name: str
    module: str
    kind: Kind
    signature: str
    summary: str
    body: str
    text: str
    prose: str
    result: str = ""
    defaults: tuple[tuple[str, str], ...] = ()
    related: tuple[str, ...] = field(default=())

    @property
    def short_name(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]

    @property
    def package(self) -> str:
        """The first part of its name."""
        return self.name.partition(".")[0]


def read_objects(packages: Sequence[str], *, per_package: int, body_words: int, seed: int) -> list[DocumentedObject]:
    """The documented objects of packages, in the order of packages, files and lines.

    Args:
        packages: names of installed packages.
        per_package: objects of a package, at most; modules are drawn while there is room, each whole, so that neighbours stay together.
        body_words: a body is cut here; one of fewer than 12 words, or a private object, is left out.
        seed: of the draw of modules.

    Raises:
        SettingError: a package is not installed.
    """
    objects = []
    for package in packages:
        modules = dict(package_modules(package_root(package)))
        names = sorted(modules)
        random.Random(f"documentation modules:{seed}:{package}").shuffle(names)
        drawn: dict[str, list[DocumentedObject]] = {}
        room = per_package
        while names and room > 0:
            name = names.pop()
            items = (item for item in read_documented(name, modules[name]) if _is_public(item))
            described = {item.name: item for raw in items if (item := _describe(raw, body_words))}
            drawn[name] = list(described.values())[:room]
            room -= len(drawn[name])
        objects += [item for name in modules for item in drawn.get(name, ())]
    return objects


def _is_public(item: Documented) -> bool:
    return not any(part.startswith("_") for part in item.name.removeprefix(item.module).split("."))


def _describe(item: Documented, body_words: int) -> DocumentedObject | None:
    parts = split_docstring(item.docstring)
    if parts is None:
        return None
    described = plain_text(parts[0]).replace("\n", " ").rstrip(" .:;,")
    summary = first_sentence(described)
    _, sections = doc_sections(item.docstring)
    more = described[len(summary) + 1 :].strip()  # a summary of several sentences is their first
    prose = "\n".join(text for text in (more and f"{more}.", plain_text(doc_sections("\n" + parts[1])[0])) if text)
    texts = [prose, *(LABELS.get(name, "") + plain_text(sections[name]).replace("\n", " ") for name in PARTS if sections.get(name))]
    whole = "\n".join(text for text in texts if text)
    body = cut_words(whole, body_words)
    if len(body.split()) < 12 or not summary or summary.lower() in body.lower():
        return None
    return DocumentedObject(
        name=item.name,
        module=item.module,
        kind=_kind(item),
        signature=_signature(item),
        summary=summary,
        body=body,
        text=whole,
        prose=prose,
        result=_result(sections.get("returns", "")),
        defaults=_defaults(sections.get("parameters", "")),
        related=tuple(NAME.findall(_before_colons(sections.get("see also", "")))),
    )


def _kind(item: Documented) -> Kind:
    if isinstance(item.node, ast.ClassDef):
        bases = [base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in item.node.bases]
        named = (item.node.name, *bases)
        return "exception" if any(name.endswith(("Error", "Exception", "Warning")) for name in named) else "class"
    owner = item.name.rpartition(".")[0]
    return "method" if owner != item.module and item.node is not None else "function"


def _signature(item: Documented) -> str:
    node = item.node
    if isinstance(node, ast.ClassDef):
        methods = (child for child in node.body if isinstance(child, ast.FunctionDef) and child.name == "__init__")
        node = next(methods, None)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    given = node.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs) if argument.arg not in ("self", "cls")]
    return ", ".join(names[:8])


def _result(section: str) -> str:
    """The first sentence of what is said of a return value, without its name and type."""
    lines = section.strip("\n").split("\n")
    indented = [line.strip() for line in lines[1:] if line.startswith((" ", "\t"))]
    if section and indented and not lines[0].startswith((" ", "\t")) and (" : " in lines[0] or len(lines[0].split()) <= 8):
        described = "\n".join(indented)
    else:
        described = TYPED.sub("", section.strip())
    return first_sentence(plain_text(described))


def _defaults(section: str) -> tuple[tuple[str, str], ...]:
    described = ((match["name"].lstrip("*"), DEFAULT.search(match["type"])) for match in PARAMETER.finditer(section))
    return tuple((name, default["value"]) for name, default in described if default)


def _before_colons(section: str) -> str:
    """The names of a See Also section, without what is said of them."""
    lines = (line for line in section.split("\n") if line.strip() and not line.startswith((" ", "\t")))
    return ", ".join(re.sub(r":[a-z:]+:|[`~]", "", line.split(" : ")[0]) for line in lines)
