"""Model folders that mlflow loads as they stand: weights, the code that serves them, and the MLmodel file; written whole."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["save_model_folder", "serving_code"]

# MLflow hands a model the parameters that its signature names, and no others.
PARAMETERS = {
    "max_new_tokens": ("long", 32),
    "temperature": ("double", 0.0),
    "top_p": ("double", 1.0),
    "top_k": ("long", 0),
    "seed": ("long", 0),
    "batch_size": ("long", 16),
}
COLUMNS = [{"type": "string", "name": "document", "required": True}, {"type": "string", "name": "keywords", "required": False}]
SIGNATURES = {
    "generator_model": {
        "inputs": COLUMNS,
        "outputs": [{"type": "string", "required": True}],
        "params": [{"name": name, "type": kind, "default": value, "shape": None} for name, (kind, value) in PARAMETERS.items()],
    }
}


@contextmanager
def save_model_folder(folder: Path, loader: Path) -> Iterator[Path]:
    """Make a folder an MLflow model whose code loads ``weights/`` beside it, so that nothing is copied into a store.

    The folder takes its place whole when the block ends without an error.

    Args:
        folder: of the model; what stood there is replaced.
        loader: a Python file that defines and sets an MLflow model (models from code).

    Yields:
        The new, empty ``weights`` folder to write into.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    weights = draft / "weights"
    weights.mkdir(parents=True)
    try:
        yield weights
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    shutil.copyfile(loader, draft / loader.name)
    (draft / "MLmodel").write_text(_mlmodel(loader), encoding="utf8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def serving_code(name: str) -> Path:
    """The file of ``tandem.tracking.serving`` that loads a kind of model."""
    return Path(__file__).parent / "serving" / f"{name}.py"


def _mlmodel(loader: Path) -> str:
    """The MLmodel file of a model from code: what ``mlflow.pyfunc.save_model`` writes, less its random id and its date.

    So the same weights make the same folder, byte for byte; `tests/tracking/test_model_folder.py` loads it with mlflow.
    """
    return (
        "flavors:\n"
        "  python_function:\n"
        f"    code: null\n    env: {{}}\n    loader_module: mlflow.pyfunc.model\n    model_code_path: {loader.name}\n"
        f"    python_version: {sys.version.split()[0]}\n    streamable: false\n{_signature(loader.stem)}"
    )


def _signature(name: str) -> str:
    """The lines of an MLmodel that say what a model takes, where it has any: a JSON text for each part."""
    entries = SIGNATURES.get(name, {})
    lines = [f"  {kind}: '{json.dumps(content)}'\n" for kind, content in entries.items()]
    return "".join(["signature:\n", *lines]) if lines else ""
