"""Model folders: MLflow loads them as they stand, and they take their place whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tandem.tracking import model_folder as model_folders


@pytest.mark.slow
def test_a_model_folder_is_an_mlflow_model(tiny_generator: Path, tmp_path: Path) -> None:
    import mlflow
    import pandas

    folder = tmp_path / "model"
    with model_folders.save_model_folder(folder, model_folders.serving_code("generator_model")) as weights:
        shutil.copytree(tiny_generator, weights, dirs_exist_ok=True)
        (weights / "prompt.json").write_text(json.dumps({"template": "Document: {document}\nQuery:", "document_tokens": 8}))
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    loaded = mlflow.pyfunc.load_model(str(folder))
    assert len(loaded.predict(pandas.DataFrame({"document": ["sort", "plot a line"]}))) == 2
    with (
        pytest.raises(RuntimeError, match="stopped"),
        model_folders.save_model_folder(folder, model_folders.serving_code("generator_model")) as weights,
    ):
        (weights / "half").write_text("")
        raise RuntimeError("stopped")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == first
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
