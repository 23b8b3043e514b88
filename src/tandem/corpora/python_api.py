"""The embedded corpus: docstrings of installed Python packages, read with ``ast`` and never imported.

A document is the body of a docstring; its query is the docstring's summary, which is taken out of the body. Finding the
function that does what the summary says is a real task on real text, and the bytes are the same on every machine that
has the same package versions.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import random
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.corpora.collection import Collection
from tandem.corpora.near_duplicates import duplicate_groups
from tandem.records import Document, LabelledPair
from tandem.settings import SettingError
from tandem.text import split_words

__all__ = [
    "Docstring",
    "Documented",
    "build_collection",
    "package_modules",
    "package_root",
    "package_versions",
    "read_docstrings",
    "read_documented",
    "split_docstring",
]

DISTRIBUTIONS = {"sklearn": "scikit-learn"}
SKIPPED_PARTS = {"tests", "test", "testing", "_vendor", "vendored", "externals", "conftest.py", "benchmarks"}
# Other functions' summaries stand in "See Also"; outputs and citations in the others: none of it describes the function.
DROPPED_SECTIONS = {"see also", "examples", "references", "example"}
SECTION = re.compile(r"^(?P<name>[A-Z][A-Za-z ]{2,30})\n[-=~]{3,}\s*$", re.MULTILINE)
SIGNATURE = re.compile(r"^[\w.\[\], ]+\(.*\)\s*(->.*)?(--)?$", re.DOTALL)
TEMPLATE = re.compile(r"%\(\w+\)s|\{\w+\}|\[`\w+")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Docstring:
    """One documented object: its dotted ``name``, the ``summary`` of its docstring and the ``body`` without it."""

    name: str
    summary: str
    body: str


@dataclass(frozen=True, slots=True)
class Documented:
    """An object with a docstring as it stands in the source; ``node`` is None of what is compiled."""

    module: str
    name: str
    docstring: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None


def package_root(package: str) -> Path:
    """The folder that an installed top-level package lives in, found without importing it.

    Raises:
        SettingError: the package is not installed.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # of "a.b" where there is no a, and of ""
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SettingError("packages", f"'{package}' is not an installed package; install it or take it off the list")
    return Path(next(iter(spec.submodule_search_locations)))


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed version of each package: what the bytes of the corpus depend on."""
    return {name: importlib.metadata.version(DISTRIBUTIONS.get(name, name)) for name in packages}


def read_docstrings(root: Path, *, min_body_words: int = 20) -> Iterator[Docstring]:
    """Every documented function, class and method below ``root``, in the order of file path and line.

    Args:
        root: a package's folder; its name is the first part of each dotted name.
        min_body_words: a shorter body is left out, for it describes nothing.
    """
    for module, path in package_modules(root):
        for item in read_documented(module, path):
            parts = split_docstring(item.docstring)
            if parts and len(WORD.findall(parts[1])) >= min_body_words:
                yield Docstring(item.name, *parts)


def package_modules(root: Path) -> Iterator[tuple[str, Path]]:
    """The dotted name and the file of every module below ``root`` that users call, in the order of paths: no tests, no vendored code."""
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if not (SKIPPED_PARTS.intersection(relative.parts) or path.name.startswith("test_")):
            yield ".".join((root.name, *relative.with_suffix("").parts)).removesuffix(".__init__"), path


def read_documented(module: str, path: Path) -> Iterator[Documented]:
    """Every function, class and method of a module that has a docstring, whatever it says, in the order of lines."""
    for name, docstring, node in _documented(_parse(path), module):
        yield Documented(module, name, docstring, node)


def split_docstring(docstring: str) -> tuple[str, str] | None:
    """A docstring's summary (first paragraph, one line) and the rest, or None where either is of no use as text.

    A leading signature is passed over; sections that quote other functions, outputs or citations are dropped; summaries
    of fewer than 3 or more than 40 words, template placeholders and bodies that repeat the summary are refused.
    """
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(docstring).strip())
    if len(paragraphs) > 1 and SIGNATURE.match(paragraphs[0]):
        paragraphs = paragraphs[1:]
    summary = " ".join(paragraphs[0].split()).rstrip(".")
    body = _drop_sections("\n\n".join(paragraphs[1:]))
    words = len(WORD.findall(summary))
    if not 3 <= words <= 40 or TEMPLATE.search(summary) or ">>>" in summary or "----" in summary:
        return None
    if summary.lower() in " ".join(body.lower().split()):
        return None
    return summary, body


def _drop_sections(body: str) -> str:
    marks = list(SECTION.finditer(body))
    if not marks:
        return body.strip()
    ends = [mark.start() for mark in marks[1:]] + [len(body)]
    kept = [body[: marks[0].start()]]
    for mark, end in zip(marks, ends, strict=True):
        if mark["name"].strip().lower() not in DROPPED_SECTIONS:
            kept.append(body[mark.start() : end])
    return "".join(kept).strip()


def _parse(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        # Other people's invalid escape sequences are not ours to report.
        warnings.simplefilter("ignore")
        return ast.parse(path.read_text(encoding="utf8", errors="replace"))


def _documented(node: ast.AST, prefix: str) -> Iterator[tuple[str, str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}.{child.name}"
            docstring = ast.get_docstring(child, clean=False)
            if docstring:
                yield name, docstring, child
            if isinstance(child, ast.ClassDef):
                yield from _documented(child, name)
        elif isinstance(child, ast.Expr) and isinstance(child.value, ast.Call):
            yield from ((name, docstring, None) for name, docstring in _added_docs(child.value, prefix))
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _documented(child, prefix)


def _added_docs(call: ast.Call, prefix: str) -> Iterator[tuple[str, str]]:
    """NumPy and SciPy attach the docstrings of compiled functions with ``add_newdoc(place, name, doc)``."""
    function = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if function != "add_newdoc":
        return
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    for argument in call.args:
        if isinstance(argument, ast.Tuple):
            texts += [element.value for element in argument.elts if isinstance(element, ast.Constant)]
    if len(texts) >= 2 and all(isinstance(text, str) for text in texts):
        *names, docstring = [str(text) for text in texts]
        yield ".".join(names if len(names) > 1 else [prefix, *names]), docstring


def build_collection(packages: Sequence[str], *, documents: int, test_queries: int, seed: int) -> Collection:
    """The embedded collection: documents drawn from the packages, each with its query, parted into train and test.

    Documents whose body nearly repeats another's, or whose summary another shares, are left out before the draw.

    Args:
        packages: names of installed packages.
        documents: how many to draw; all where there are fewer.
        test_queries: how many of the drawn documents' queries are kept for testing, the others being the train split.
        seed: of the draw and of the split.

    Raises:
        SettingError: the packages have too few documents, or one is not installed.
    """
    if test_queries >= documents:
        raise SettingError("test_queries", f"{test_queries} found, fewer than documents ({documents}) allowed")
    by_name = {item.name: item for package in packages for item in read_docstrings(package_root(package))}
    items = [by_name[name] for name in sorted(by_name)]
    groups = duplicate_groups([item.body for item in items])
    seen: set[str] = set()
    distinct = []
    for i, item in enumerate(items):
        summary = " ".join(split_words(item.summary))  # looser than the same query: a twin of a test query would train
        if groups[i] == i and summary not in seen:
            distinct.append(item)
        seen.add(summary)
    rng = random.Random(f"python_api:{seed}")
    drawn = sorted(rng.sample(distinct, min(documents, len(distinct))), key=lambda item: item.name)
    if test_queries >= len(drawn):
        held = f"{', '.join(packages) or 'no packages'} have {len(drawn)} documents in all"
        raise SettingError("test_queries", f"{test_queries} found, but {held}; ask for fewer or add packages")
    test = set(rng.sample([item.name for item in drawn], test_queries))
    pairs = [LabelledPair(query_id=f"q:{item.name}", text=item.summary, doc_id=item.name) for item in drawn]
    return Collection(
        [Document(doc_id=item.name, text=item.body) for item in drawn],
        [pair for pair in pairs if pair.doc_id not in test],
        [pair for pair in pairs if pair.doc_id in test],
        package_versions(packages),
    )
