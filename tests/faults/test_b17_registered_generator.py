"""The registered generator takes documents, makes their prompts itself, cleans what it writes, and works in batches.

What a request lacks, or has beyond its bounds, is refused in one line, by generators, retrievers and rerankers alike.
"""

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
from makers import retriever_settings

from tandem.generators.prompts import PromptShape, QueryPrompts, render_prompts
from tandem.interfaces import SamplingSettings
from tandem.llm.causal_lm import CausalLM, load_causal_lm, save_causal_lm
from tandem.llm.parsing import clean_query
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.retrievers.bm25 import BM25Settings
from tandem.retrievers.retriever import Lexical, build_retriever, save_retriever
from tandem.tracking.model_folder import PARAMETERS, save_model_folder, serving_code
from tandem.tracking.serving.requests import Sampling

PROMPT: dict[str, Any] = {"template": "{keywords} of {document} :", "document_tokens": 6, "keywords": 3}


@pytest.fixture
def folder(tiny_generator: Path, tmp_path: Path) -> Path:
    model, tokenizer = load_causal_lm(str(tiny_generator))
    with save_model_folder(tmp_path / "model", serving_code("generator_model")) as weights:
        save_causal_lm(model, tokenizer, weights)
        QueryPrompts(tokenizer, PromptShape(template=PROMPT["template"], document_tokens=PROMPT["document_tokens"])).save(weights)
    return tmp_path / "model"


def expected(folder: Path, documents: list[str], keywords: list[str]) -> list[str]:
    model = CausalLM.load(str(folder / "weights"), batch_size=1)
    prompts = render_prompts(documents, keywords, model.tokenizer, template=PROMPT["template"], max_document_tokens=6)
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=8)
    return [clean_query(model.complete([prompt], sampling, seed=0)[0].text) for prompt in prompts]


def test_documents_to_queries(folder: Path) -> None:
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(folder))
    documents = list(TEXTS.values())
    frame = pd.DataFrame({"document": documents, "keywords": ["table", "", "", "", "", ""]})
    queries = model.predict(frame, params={"max_new_tokens": 8, "batch_size": 2})
    assert queries == expected(folder, documents, list(frame["keywords"]))
    assert model.predict(frame[["document"]], params={"max_new_tokens": 8}) == expected(folder, documents, [""] * 6)
    with pytest.raises(ValueError, match="column 'document' is expected, found: prompt"):
        model.unwrap_python_model().predict(None, pd.DataFrame({"prompt": ["x"]}))
    with pytest.raises(ValueError, match="params: heat found, allowed: max_new_tokens, temperature"):
        model.unwrap_python_model().predict(None, frame, {"heat": 1})


def test_cells_without_text(folder: Path) -> None:
    """A missing keyword once came into the prompt as the word None, and a missing or blank document got a query."""
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(folder))
    frame = pd.DataFrame({"document": [TEXTS["sort"], TEXTS["plot"], " "], "keywords": ["table", None, float("nan")]})
    queries = model.predict(frame, params={"max_new_tokens": 8})
    assert queries == [*expected(folder, list(frame["document"])[:2], ["table", ""]), ""]
    assert model.predict(frame[:0]) == []
    with pytest.raises(ValueError, match="column 'document': row 2 is empty; a text is expected"):
        model.predict(pd.DataFrame({"document": ["x", None]}))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch_size": 0}, "params.batch_size: .*greater than or equal to 1, found 0"),
        ({"max_new_tokens": 0}, "params.max_new_tokens: .*found 0"),
        ({"temperature": -1.0}, "params.temperature: .*greater than or equal to 0, found -1.0"),
        ({"top_p": 5.0}, "params.top_p: .*less than or equal to 1, found 5.0"),
        ({"top_k": -3}, "params.top_k: .*found -3"),
    ],
)
def test_settings_out_of_bounds(folder: Path, params: dict[str, Any], message: str) -> None:
    import mlflow.pyfunc

    with pytest.raises(ValueError, match=message):
        mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"document": [TEXTS["sort"]]}), params=params)


def test_memory_is_bounded_by_the_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.pyfunc

    from tandem.llm import causal_lm

    sizes: list[int] = []
    theirs = causal_lm.decode

    def spy(model: Any, tokens: Any, *arguments: Any, **settings: Any) -> Any:
        sizes.append(len(tokens))
        return theirs(model, tokens, *arguments, **settings)

    monkeypatch.setattr(causal_lm, "decode", spy)
    model = mlflow.pyfunc.load_model(str(folder))
    model.predict(pd.DataFrame({"document": list(TEXTS.values()) * 6}), params={"max_new_tokens": 2})
    assert sizes == [16, 16, 4]
    model.predict(pd.DataFrame({"document": list(TEXTS.values())}), params={"max_new_tokens": 2, "batch_size": 4})
    assert sizes[3:] == [4, 2]


def test_the_signature_names_the_settings_and_their_defaults() -> None:
    assert {name: value for name, (_, value) in PARAMETERS.items()} == Sampling().model_dump()
    assert Sampling.model_validate({"temperature": 0.5}).temperature == 0.5


@pytest.mark.parametrize("kind", ["retriever", "lexical", "reranker"])
def test_columns_of_scorers(kind: str, tiny_encoder: Path, tiny_cross_encoder: Path, tmp_path: Path) -> None:
    """Retrievers and rerankers read their columns with the same function."""
    import mlflow.pyfunc

    with save_model_folder(tmp_path / "model", serving_code("reranker_model" if kind == "reranker" else "retriever_model")) as weights:
        if kind == "lexical":
            Lexical(BM25Settings(), "english").save_pretrained(str(weights))
        elif kind == "retriever":
            settings = retriever_settings(tiny_encoder, query_tokens=16, document_tokens=32)
            save_retriever(build_retriever(settings, seed=1, device="cpu"), weights)
        else:
            form = PairFormat(kind="encoder", max_length=48, max_query_length=16)
            Reranker(str(tiny_cross_encoder), form, new_head=True, seed=1).save(weights)
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    scores = model.predict(pd.DataFrame({"query": ["sort", "plot"], "document": [TEXTS["sort"], TEXTS["plot"]]}))
    assert len(set(scores)) == 2
    with pytest.raises(ValueError, match="column 'document': row 2 is empty; a text is expected"):
        model.predict(pd.DataFrame({"query": ["sort", "plot"], "document": [TEXTS["sort"], None]}))
    with pytest.raises(ValueError, match="column 'query': row 1 is 3; a text is expected"):
        model.predict(pd.DataFrame({"query": [3], "document": [TEXTS["sort"]]}))
    with pytest.raises(ValueError, match="column 'query' is expected, found: text, document"):
        model.predict(pd.DataFrame({"text": ["sort"], "document": [TEXTS["sort"]]}))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_mlflow_models_serve(folder: Path, tmp_path: Path) -> None:
    """The command of docs/sweeps.md, in the environment that `make` built, on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder), "--env-manager", "local", "--port", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(Path("src").resolve())}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, "--workers", "1"], env=environment, start_new_session=True, stdout=log, stderr=log)
    try:
        body = json.dumps({"dataframe_records": [{"document": TEXTS["sort"]}], "params": {"max_new_tokens": 8}}).encode()
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
