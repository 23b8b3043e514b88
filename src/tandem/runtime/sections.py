"""The text of a params.yaml by section, so that a section can be changed and everything else stays as it is written."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tandem.formats.errors import ParamsError

__all__ = ["dump_section", "load_section", "read_head", "split_sections"]

SECTION = re.compile(r"^(\w+):", re.MULTILINE)


def split_sections(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Top-level keys in order, each with the comments above it and the lines of its value; first, under "", what heads the file."""
    matches, head = list(SECTION.finditer(text)), read_head(text)
    yield "", ("", head)
    above = len(head)
    for match, following in zip(matches, [*matches[1:], None], strict=True):
        end = _end_of_body(text, match.start(), following.start() if following else len(text))
        yield match.group(1), (text[above : match.start()], text[match.start() : end])
        above = end


def read_head(text: str) -> str:
    """The comment lines that a file begins with, up to the first line that is none."""
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            break
        lines.append(line)
    return "".join(lines)


def _end_of_body(text: str, start: int, end: int) -> int:
    """Where the lines of a block end: blank lines and comments in the first column after them belong to what follows."""
    lines = text[start:end].splitlines(keepends=True)
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    return start + sum(map(len, lines))


def load_section(text: str, source: str) -> Any:
    """The content of YAML text, with its comments.

    Raises:
        ParamsError: it is not YAML.
    """
    try:
        return _yaml().load(text)
    except YAMLError as error:
        raise ParamsError(f"{source}: not YAML: {' '.join(str(error).split())[:300]}") from None


def dump_section(content: Mapping[str, Any]) -> str:
    """The text of a content, with its comments, indented as params.yaml is."""
    out = io.StringIO()
    _yaml().dump(content, out)
    return out.getvalue()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 140
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml
