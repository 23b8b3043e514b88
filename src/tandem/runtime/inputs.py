"""What params.yaml says that dvc.yaml cannot name: the content of files and model folders, and what single rounds and updates override.

DVC looks at a value and not behind it: an edited corpus under the same path would be no change, and ``dvc.yaml`` cannot name a path as a
dependency that may be empty, a Hugging Face id or ``builtin``; nor can it name a key of a round that may be missing. So a small stage that
always runs writes all these into files, and the stages that they concern depend on them.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from tandem.formats.errors import InputError
from tandem.formats.jsonl import write_json
from tandem.formats.task_paths import resolve_paths
from tandem.runtime.plan import STAGES, PlanName, merge_settings, read_overrides

__all__ = ["NAMED", "describe_inputs", "describe_overrides", "write_inputs"]

Known = dict[str, tuple[int, int, str]]
"""size, time and MD5 of files by path, as they were last"""

# Keys of each section that may name a file or folder; of rerankers, keys of each of its models.
NAMED = {
    "prepare_corpus": ("path", "pairs"),
    "prepare_guard": ("path", "pairs"),
    "generate_queries": ("file",),
    "build_preferences": ("file",),
    "train_generator": ("base",),
    "retriever": ("encoder",),
    "train_filter_encoder": ("encoder",),
    "rerankers": ("base",),
    "relevance": ("model",),
    "likelihood": ("model",),
    "prepare_tasks": ("files",),
    "task_encoder": ("encoder",),
    "score_task_keys": ("model",),
    "evaluate_tasks": ("model",),
}
LAUNCHER = "launcher"  # a command line, whose words may be files
# What decides whether a section's names are read at all, and for which of its values they are.
SWITCHES = {
    "prepare_corpus": ("source", ("beir", "files")),
    "prepare_guard": ("source", ("beir", "files")),
    "generate_queries": ("backend", ("file",)),
    "prepare_tasks": ("source", ("files",)),
    "relevance": ("scorer", ("reranker", "monot5")),
}
EXPERIMENTS = (".dvc", "tmp", "exps")  # where DVC runs queued experiments: in a copy of what git and DVC track
BLOCK = 1 << 20


def describe_inputs(content: Mapping[str, Any], known: Known, here: Path) -> dict[str, dict[str, Any]]:
    """The identity of everything that a params.yaml names, by section that it has, then by key; of the launcher's files by path.

    Args:
        content: of params.yaml.
        known: what is known of files; brought up to date.
        here: the folder that paths are relative to.

    Raises:
        InputError: a queued experiment names a file that its copy of the project lacks.
    """
    identities: dict[str, dict[str, Any]] = {}
    if isinstance(content.get(LAUNCHER), str):
        words = {word for piece in content[LAUNCHER].split() for word in piece.strip("\"'").split("=") if (here / word).is_file()}
        identities[LAUNCHER] = {word: _identity(LAUNCHER, word, known, here) for word in sorted(words)}
    for section in NAMED:
        if section in content:
            values = dict(_values(section, content[section] or {}))
            identities[section] = {key: _identity(f"{section}.{key}", value, known, here) for key, value in values.items()}
    return identities


def describe_overrides(content: Mapping[str, Any], plan: PlanName, path: Path, known: Known) -> dict[str, dict[str, dict[str, Any]]]:
    """What each round or update overrides, by its name, then by stage: ``values``, and the identities of ``files`` that they name.

    Args:
        content: of params.yaml.
        plan: rounds or updates.
        path: of params.yaml, for errors.
        known: what is known of files; brought up to date.
    """
    described: dict[str, dict[str, dict[str, Any]]] = {}
    for name in content.get(plan) or {}:
        overrides = read_overrides(content, plan, name, path)
        for stage in STAGES[plan]:
            values = overrides.by_stage.get(stage, {})
            nested = {section: settings for section, settings in values.items() if section in NAMED and isinstance(settings, dict)}
            changed = {section: merge_settings(content.get(section) or {}, settings) for section, settings in nested.items()}
            if values and stage in NAMED:
                changed[stage] = merge_settings(content[stage], values)
            named = {f"{section}.{key}": value for section, settings in changed.items() for key, value in _values(section, settings)}
            files = {key: _identity(f"{overrides.entry}.{key}", value, known, Path.cwd()) for key, value in named.items()}
            described.setdefault(name, {})[stage] = {"values": values, "files": files}
    return described


def write_inputs(content: Mapping[str, Any], path: Path, folder: Path, memory: Path) -> None:
    """Write the identities of each section, and each round's and update's overrides of a stage, into a file; each whole or not at all.

    Of files that did not change none is read.

    Args:
        content: of params.yaml.
        path: of params.yaml, for errors.
        folder: to write into.
        memory: file of what is known of files.
    """
    try:
        known: Known = orjson.loads(memory.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        known = {}
    for section, values in describe_inputs(content, known, Path.cwd()).items():
        write_json(folder / f"{section}.json", values)
    for plan in (name for name in STAGES if name in content):
        shutil.rmtree(folder / plan, ignore_errors=True)
        (folder / plan).mkdir(parents=True)  # an output of the stage, whether or not there is an entry
        for name, stages in describe_overrides(content, plan, path, known).items():
            for stage, values in stages.items():
                write_json(folder / plan / name / f"{stage}.json", values)
    write_json(memory, known)


def _values(section: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and what they name; an empty value names nothing, nor does one that the section's other values switch off."""
    key, meanings = SWITCHES.get(section, ("", ()))
    if key and values.get(key) not in meanings:
        return
    if section == "prepare_tasks":
        yield from _task_files(values)
        return
    models = values.items() if section == "rerankers" else [("", values)]
    for name, model in models:
        for key in NAMED[section]:
            if isinstance(model, Mapping) and isinstance(model.get(key), str) and model[key]:
                yield f"{name}.{key}".lstrip("."), model[key]


def _task_files(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files of every task, whose names may be globs and may stand below the data root."""
    root = Path(str(values.get("data_root") or "."))
    for task, files in (values.get("files") or {}).items():
        for part in ("train", "dev", "test", "corpus"):
            named = files.get(part) or []
            names = [named] if isinstance(named, str) else named
            for number, path in enumerate(resolve_paths(names, data_root=root) if names else []):
                yield f"files.{task}.{part}.{number}", str(path)


def _identity(key: str, value: str, known: Known, here: Path) -> dict[str, Any]:
    path = here / value
    added = path.with_name(f"{path.name}.dvc")
    if not path.exists() and added.is_file():
        # An experiment's copy of the project gets what its stages depend on, and dvc.yaml cannot say that it is this.
        subprocess.run(["dvc", "checkout", "--quiet", str(added)], cwd=here, check=False)
        if not path.exists():
            raise InputError(f"params.yaml: {key}: {value!r} found, whose content is not in DVC's cache; `dvc pull {value}.dvc` fetches it")
    if path.is_file():
        return {"value": value, "md5": _md5(path, known)}
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = (f"{file.relative_to(path)} {_md5(file, known)}\n" for file in files)
        return {"value": value, "files": len(files), "md5": hashlib.md5("".join(lines).encode(), usedforsecurity=False).hexdigest()}
    project = _project_of_experiment(here)
    if project and (project / value).exists():
        raise InputError(
            f"params.yaml: {key}: {value!r} found, which is not here: a queued experiment runs in a copy of what git and DVC track; "
            f"`dvc add {value}`, and git add what that writes"
        )
    return {"value": value}  # a Hugging Face id, builtin, smollm2, or what its stage will say is missing


def _project_of_experiment(here: Path) -> Path | None:
    """The project that a queued experiment was started in; None where this is the project itself."""
    names = here.parts
    starts = [i for i in range(len(names)) if names[i : i + 3] == EXPERIMENTS]
    return Path(*names[: starts[0]]) if starts else None


def _md5(path: Path, known: Known) -> str:
    """The MD5 digest of a file, read again only where its size or time has changed."""
    state, name = path.stat(), str(path.absolute())
    if tuple(known.get(name, ()))[:2] != (state.st_size, state.st_mtime_ns):
        digest = hashlib.md5(usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        known[name] = (state.st_size, state.st_mtime_ns, digest.hexdigest())
    return known[name][2]
