"""Collect the text that the built-in generator learns from: docstrings and comments of permissively licensed packages.

Nothing of the quickstart's packages goes in: they are left out by name, and any text elsewhere that repeats one of their
summaries, or a third of its 8-word shingles, is dropped as well. Output: one JSON line per text, ``{source, summary,
body}``; a comment block has no summary.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from settings import read_section
from tqdm import tqdm

from tandem.corpora.python_api import package_root, read_docstrings
from tandem.tracking.record import record

WORD = re.compile(r"[a-z0-9]+")
COMMENT = re.compile(r"^[ \t]*#+[ \t]?(.*)$")
CODE = re.compile(r"[=(){}\[\]]|https?:|noqa|type:|pragma|copyright|licen[cs]e|spdx", re.IGNORECASE)


def main(argv: list[str] | None = None) -> None:
    """Read every package that params.yaml names, drop what the quickstart could have seen, write whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True, help="folder made by pip install --target")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--record", type=Path, required=True)
    arguments = parser.parse_args(argv)
    params = read_section(arguments.params, "collect_text")
    with record("collect_text", params, arguments.record) as tracked:
        rows, dropped = collect(arguments.packages, params)
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        arguments.output.write_text(content, encoding="utf8")
        counts = {"texts": len(rows), "pairs": sum(bool(row["summary"]) for row in rows), "dropped_as_quickstart_text": dropped}
        manifest = {
            **counts,
            "sha256": hashlib.sha256(content.encode()).hexdigest(),
            "python": sys.version.split()[0],
            "versions": versions(arguments.packages),
        }
        arguments.manifest.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        tracked.log(counts)


def collect(packages: Path, params: dict) -> tuple[list[dict[str, str]], int]:
    """Every text once, and how many were dropped because the quickstart has them."""
    barred_summaries, barred_shingles = barred_text(params["excluded"])
    rows, seen, dropped = [], set(), 0
    for root in tqdm(package_folders(packages, params), desc="reading packages"):
        for source, summary, body in read_package(root):
            key = normalise(f"{summary} {body}")
            if key in seen:
                continue
            seen.add(key)
            if (summary and normalise(summary) in barred_summaries) or overlap(key, barred_shingles) > 1 / 3:
                dropped += 1
                continue
            rows.append({"source": source, "summary": summary, "body": body})
    return rows, dropped


def package_folders(target: Path, params: dict) -> list[Path]:
    """The packages under ``target``, those named from the environment, and the standard library."""
    names = sorted(path.name for path in target.iterdir() if (path / "__init__.py").exists())
    roots = [target / name for name in names if name not in params["excluded"]]
    roots += [package_root(name) for name in params["environment_packages"]]
    return [*roots, Path(sysconfig.get_paths()["stdlib"])]


def read_package(root: Path) -> Iterator[tuple[str, str, str]]:
    """Docstrings with a summary, then blocks of prose comments."""
    if root == Path(sysconfig.get_paths()["stdlib"]):
        children = [path for path in sorted(root.iterdir()) if path.name not in {"site-packages", "test", "lib2to3"}]
        folders, files = [p for p in children if p.is_dir()], [p for p in children if p.suffix == ".py"]
        for folder in folders:
            yield from read_package(folder)
    else:
        for item in read_docstrings(root, min_body_words=8):
            yield item.name, item.summary, " ".join(item.body.split())
        files = sorted(root.rglob("*.py"))
    for path in files:
        for block in comment_blocks(path.read_text(encoding="utf8", errors="replace")):
            yield root.name, "", block


def comment_blocks(source: str) -> Iterator[str]:
    """Runs of comment lines that read as prose: 15 words or more, little punctuation of code."""
    block: list[str] = []
    for line in [*source.splitlines(), ""]:
        match = COMMENT.match(line)
        if match:
            block.append(match.group(1).strip())
            continue
        text = " ".join(" ".join(block).split())
        block = []
        if len(text.split()) >= 15 and len(CODE.findall(text)) * 12 <= len(text.split()):
            yield text


def barred_text(packages: list[str]) -> tuple[set[str], set[int]]:
    """Every summary and every 8-word shingle of the packages that the quickstart is made of."""
    summaries, shingles = set(), set()
    for package in packages:
        for item in read_docstrings(package_root(package), min_body_words=1):
            summaries.add(normalise(item.summary))
            shingles.update(shingle_hashes(normalise(f"{item.summary} {item.body}")))
    return summaries, shingles


def normalise(text: str) -> str:
    """Lower-case words only."""
    return " ".join(WORD.findall(text.lower()))


def shingle_hashes(text: str) -> set[int]:
    """Hashes of a text's 8-word windows, the same in every process."""
    words = text.split()
    windows = (" ".join(words[i : i + 8]) for i in range(max(len(words) - 7, 0)))
    return {int.from_bytes(hashlib.blake2b(w.encode(), digest_size=8).digest(), "big") for w in windows}


def overlap(text: str, barred: set[int]) -> float:
    """The share of a text's shingles that are barred."""
    own = shingle_hashes(text)
    return len(own & barred) / len(own) if own else 0.0


def versions(target: Path) -> dict[str, str]:
    """Name and version of each distribution installed into ``target``."""
    found = importlib.metadata.distributions(path=[str(target)])
    return {str(item.metadata["Name"]).lower(): item.version for item in found}


if __name__ == "__main__":
    main()
