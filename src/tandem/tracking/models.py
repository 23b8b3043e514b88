"""Models among the paths of a stage, and what each is called in MLflow."""

from __future__ import annotations

from pathlib import Path

__all__ = ["find_models", "model_name"]

WEIGHTS = "weights"  # the folder of a model folder that holds what is loaded
MARKS = ("MLmodel", "modules.json", "config.json", "adapter_config.json")  # MLflow's, sentence-transformers', transformers', peft's
KINDS = {"model": "generator", "retriever": "retriever", "reward_model": "reward_model"}  # by the folder's name


def find_models(path: Path) -> dict[Path, str]:
    """The models that a path names: itself, the model whose weights it is, or those in it, each by what parts it from the others.

    Args:
        path: a model folder, its ``weights``, or a folder of model folders such as ``out/generators``.

    Returns:
        Of each model the folder and its name below the path; empty where the path is one model.
    """
    folder = path.parent if path.name == WEIGHTS else path
    if _is_model(folder):
        return {folder: ""}
    inside = [inner for pattern in ("*", "*/model") for inner in sorted(path.glob(pattern)) if _is_model(inner)]
    return {inner: inner.relative_to(path).parts[0] for inner in inside}


def model_name(folder: Path) -> str:
    """What a model is called in MLflow: retriever-r1, generator-g2, reward_model-g2, bm25."""
    return f"{KINDS[folder.name]}-{folder.parent.name}" if folder.name in KINDS else folder.name


def _is_model(folder: Path) -> bool:
    return folder.is_dir() and any((place / mark).is_file() for place in (folder, folder / WEIGHTS) for mark in MARKS)
