"""``tandem serve``: the champion as a service over HTTP, with a page for people."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from tandem.cli.search import open_champion
from tandem.formats.corpus import Corpus
from tandem.runs import name_texts

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

    from tandem.retrievers.retriever import load_retriever, searcher
    from tandem.runtime.hardware import device_name
    from tandem.serving.app import ServiceSettings, create_app

    key = os.environ.get(KEY) or None
    if host not in LOOPBACK and key is None:
        raise ValueError(f"--host {host}: other machines reach this address, and no key is set; set the environment variable {KEY}")
    documents = Corpus(corpus)
    index = open_champion(documents.texts, device=device_name()) if model is None else None
    if model is not None:
        index = searcher(load_retriever(model, device=device_name()), documents.texts)
    assert index is not None
    index.search(name_texts(["a first query, so that models are loaded"]), depth=1)
    settings = ServiceSettings(timeout_seconds=timeout, most_waiting=most_waiting)
    app = create_app(index, {document.doc_id: document for document in documents}, settings, key=key)
    print(f"{len(documents)} documents at http://{host}:{port}/ (API: /docs); Ctrl-C ends it", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the one that ended it again, once all is answered
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=max(1, round(timeout)))
