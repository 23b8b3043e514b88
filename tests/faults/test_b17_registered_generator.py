"""The registered generator takes documents, makes their prompts itself, cleans what it writes, and works in batches."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import TEXTS

from tandem.generators.base import load_generator, save_generator
from tandem.generators.parsing import clean_query
from tandem.generators.prompts import render_prompts
from tandem.generators.sampling import sample_queries
from tandem.model_folders import save_model_folder, serving_code

PROMPT = {"template": "{keywords} of {document} :", "document_tokens": 6, "keywords": 3}


@pytest.fixture
def folder(tiny_generator: Path, tmp_path: Path) -> Path:
    model, tokenizer = load_generator(str(tiny_generator))
    with save_model_folder(tmp_path / "model", serving_code("generator_model")) as weights:
        save_generator(model, tokenizer, weights, prompt=PROMPT)
    return tmp_path / "model"


def expected(folder: Path, documents: list[str], keywords: list[str]) -> list[str]:
    model, tokenizer = load_generator(str(folder / "weights"))
    prompts = render_prompts(documents, keywords, tokenizer, template=PROMPT["template"], maximum_document_tokens=6)  # type: ignore[arg-type]
    written = []
    for prompt in prompts:
        sampling: dict[str, Any] = {"batch_size": 1, "temperature": 0.0, "top_p": 1.0, "maximum_new_tokens": 8, "seed": 0}
        written += [
            clean_query(answer.text) for batch in sample_queries(model, tokenizer, {"q": prompt}, **sampling) for answer in batch.values()
        ]
    return written


def test_documents_to_queries(folder: Path) -> None:
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(folder))
    documents = list(TEXTS.values())
    frame = pd.DataFrame({"document": documents, "keywords": ["table", "", "", "", "", ""]})
    queries = model.predict(frame, params={"maximum_new_tokens": 8, "batch_size": 2})
    assert queries == expected(folder, documents, list(frame["keywords"]))
    assert model.predict(frame[["document"]], params={"maximum_new_tokens": 8}) == expected(folder, documents, [""] * 6)
    with pytest.raises(ValueError, match="column 'document' is expected, found: prompt"):
        model.unwrap_python_model().predict(None, pd.DataFrame({"prompt": ["x"]}))
    with pytest.raises(ValueError, match="params: heat found, allowed: temperature"):
        model.unwrap_python_model().predict(None, frame, {"heat": 1})


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_mlflow_models_serve(folder: Path, tmp_path: Path) -> None:
    """The command of docs/mlflow_models.md, in the environment that `make` built, on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder), "--env-manager", "local", "--port", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(Path("src").resolve())}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, "--workers", "1"], env=environment, start_new_session=True, stdout=log, stderr=log)
    try:
        body = json.dumps({"dataframe_records": [{"document": TEXTS["sort"]}], "params": {"maximum_new_tokens": 8}}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
        for _ in range(200):
            assert server.poll() is None, (tmp_path / "log").read_text()[-2000:]
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    assert json.load(reply)["predictions"] == expected(folder, [TEXTS["sort"]], [""])
                    break
            except urllib.error.HTTPError:
                raise
            except (ConnectionError, urllib.error.URLError):
                time.sleep(0.5)
        else:
            pytest.fail("the server did not answer")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
