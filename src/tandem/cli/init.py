"""``tandem init``: a complete params.yaml from the base, a profile and single values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init"]


def init(
    profile: Annotated[str | None, typer.Option(help="An overlay of configs/profiles; left out: the base, with --set alone")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as prepare_corpus.path=documents.jsonl; again for more")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Write recipes/NAME/params.yaml from the recipe's profiles, instead of the loop's")
    ] = None,
    base: Annotated[Path | None, typer.Option(help="The params.yaml to start from; the quickstart's by default")] = None,
    force: Annotated[bool, typer.Option(help="Replace a params.yaml that has changes which git does not have")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the profiles and write nothing")] = False,
) -> None:
    """Write a complete params.yaml: the quickstart's values, a profile over them, single values over both.

    Example: tandem init --profile scifact-cpu --set seed=7
    """
    from tandem.formats.jsonl import write_text
    from tandem.runtime.overlays import base_params, has_uncommitted_changes, list_profiles, parse_changes, render_profile

    target = Path("recipes", recipe, "params.yaml") if recipe else Path("params.yaml")
    folder = target.parent / "profiles" if recipe else Path("configs/profiles")
    if show:
        for name, line in list_profiles(folder).items():
            print(f"{name:<28} {line}")
        return
    if not force and target.exists() and has_uncommitted_changes(target):
        raise ValueError(f"{target} has changes that git does not have, and would be replaced: commit them, or give --force")
    text = render_profile(base_params(base or target), folder, profile, parse_changes(change or []))
    write_text(target, text)
    print(f"{target}: {'profile ' + profile if profile else 'the base'}; `git diff {target}` shows what differs")
