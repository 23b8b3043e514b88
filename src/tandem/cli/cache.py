"""``tandem cache``: what the cache of completions holds, and pruning it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tandem.runtime.params import read_params

__all__ = ["cache"]

DAY = 86_400


def cache(
    path: Annotated[Path, typer.Argument(help="The file of completions")] = Path("out/cache/completions.jsonl"),
    prune: Annotated[bool, typer.Option("--prune", help="Drop what no generator of params.yaml has written")] = False,
    older_than: Annotated[int | None, typer.Option(min=0, help="With --prune: drop what is older than this many days too")] = None,
    params: Annotated[Path, typer.Option(help="Whose generators count")] = Path("params.yaml"),
    generators: Annotated[Path, typer.Option(help="Where their weights lie")] = Path("out/generators"),
) -> None:
    """Show how many completions of which model the cache holds, and how large they are, or prune it while no stage is generating.

    Example: tandem cache --prune --older-than 30
    """
    from tandem.llm.completion_cache import prune_lines, read_lines

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no completions; `dvc repro` writes them")
    content = read_params(params)
    names = current_models(content, generators)
    if not prune:
        print("\n".join(to_lines(path, names)))
        return
    missing = [name for name in _generators(content) if not _weights(generators, name).is_dir()]
    if missing and any(line.model.startswith("weights:") and line.model not in names for line in read_lines(path)):
        raise ValueError(
            f"{_weights(generators, missing[0])}: no such folder, and completions that may be of {', '.join(missing)} are in {path}; "
            "`dvc checkout` brings the weights that were made, `dvc repro` makes them"
        )
    oldest = 0 if older_than is None else int(time.time()) - older_than * DAY
    kept, dropped = prune_lines(path, lambda line: _is_current(line.model, names) and line.time >= oldest)
    print(f"{path}: {dropped} completions dropped, {kept} kept")


def current_models(content: Mapping[str, Any], generators: Path) -> dict[str, str]:
    """What a params.yaml's generators are called in the cache, each with the generator's name.

    A server whose model params.yaml does not name may have served any: ``server:`` then stands for all of them.
    """
    from tandem.runtime.scratch import folder_identity

    names: dict[str, str] = {}
    for name in _generators(content):
        if (weights := _weights(generators, name)).is_dir():
            names.setdefault(f"weights:{folder_identity(weights)}", name)
    return names | _served_models(content)


def _generators(content: Mapping[str, Any]) -> list[str]:
    return ["g1", *content.get("updates", {})]


def _weights(generators: Path, name: str) -> Path:
    return generators / name / "model/weights"


def _served_models(content: Mapping[str, Any]) -> dict[str, str]:
    section = content.get("generate_queries", {})
    if section.get("backend") != "openai":
        return {}
    served = section.get("served", {})
    models = {f"server:{model}": name for name, model in (served.get("models") or {}).items()}
    return models | {f"server:{served.get('model') or ''}": "served"}


def to_lines(path: Path, names: Mapping[str, str]) -> list[str]:
    """A table of a cache: a row for each model, and one for all."""
    from tandem.llm.completion_cache import read_lines

    counts: dict[str, list[int]] = {}
    for line in read_lines(path):
        count = counts.setdefault(line.model, [0, 0, 0])
        count[0] += len(line.completions)
        count[1] += len(line.content)
        count[2] = max(count[2], line.time)
    rows = [f"{'generator':<12} {'completions':>12} {'bytes':>14}  {'last written':<10}  model"]
    for model, (completions, size, last) in sorted(counts.items(), key=lambda item: -item[1][2]):
        written = time.strftime("%Y-%m-%d", time.localtime(last)) if last else "unknown"
        generator = next((name for known, name in names.items() if _is_current(model, {known: name})), "-")
        rows.append(f"{generator:<12} {completions:>12} {size:>14}  {written:<10}  {model or '(of an older version)'}")
    totals = [sum(column) for column in zip(*(count[:2] for count in counts.values()), strict=True)] or [0, 0]
    return [*rows, f"{'all':<12} {totals[0]:>12} {totals[1]:>14}"]


def _is_current(model: str, names: Mapping[str, str]) -> bool:
    return model in names or ("server:" in names and model.startswith("server:"))
