"""``tandem serve``: the champion as a service over HTTP, with a page for people."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.cli.search import open_champion
from tandem.formats.corpus import Corpus
from tandem.runs import name_texts

if TYPE_CHECKING:
    from tandem.interfaces import Searcher

__all__ = ["serve"]

KEY = "TANDEM_API_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[str, typer.Option(help=f"Others than this machine need {KEY}")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8000,
    model: Annotated[Path | None, typer.Option(help="A retriever's weights; left out: the champion's system")] = None,
    corpus: Annotated[Path, typer.Option(help="A prepared corpus")] = Path("out/data/corpus.jsonl"),
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds of a search")] = 30.0,
    most_waiting: Annotated[int, typer.Option(min=1, help="Searches that may wait")] = 64,
) -> None:
    """Serve searches over HTTP until it is told to stop; requests under way are answered first.

    Example: tandem serve --port 8080
    """
    import uvicorn

    from tandem.runtime.hardware import device_name
    from tandem.serving.app import ServiceSettings, create_app

    key = os.environ.get(KEY) or None
    if host not in LOOPBACK and key is None:
        raise ValueError(f"--host {host}: other machines reach this address, and no key is set; set the environment variable {KEY}")
    documents = Corpus(corpus)
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            index = open_champion(documents.texts, device=device_name())
        else:
            index = _index(model, documents.texts, Path(folder), device=device_name())
        index.search(name_texts(["a first query, so that models are loaded"]), depth=1)
        settings = ServiceSettings(timeout_seconds=timeout, most_waiting=most_waiting)
        app = create_app(index, {document.doc_id: document for document in documents}, settings, key=key)
        print(f"{len(documents)} documents at http://{host}:{port}/ (API: /openapi.json); Ctrl-C ends it", flush=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn raises the one that ended it again, once all is answered
        uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=max(1, round(timeout)))


def _index(weights: Path, documents: Mapping[str, str], folder: Path, *, device: str) -> Searcher:
    """The corpus encoded once, and not for every query."""
    from tandem.retrievers.index.building import IndexSettings, build_index, open_index
    from tandem.retrievers.retriever import load_retriever

    model = load_retriever(weights, device=device)
    build_index(model, documents, folder / "index", IndexSettings(kind="exact"), scratch=folder / "scratch", seed=0)
    return open_index(folder / "index", weights, device=device, model=model)
