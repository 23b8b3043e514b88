"""``tandem search``: what the champion finds for a query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tandem.cli.champion import CHAMPIONS
from tandem.formats.corpus import Corpus

__all__ = ["search"]


def search(
    query: Annotated[str, typer.Argument(help="What to look for")],
    model: Annotated[Path | None, typer.Option(help="A retriever's weights; left out: the champion's")] = None,
    corpus: Annotated[Path, typer.Option(help="A prepared corpus")] = Path("out/data/corpus.jsonl"),
    depth: Annotated[int, typer.Option("--number", min=1, help="Results to show")] = 5,
) -> None:
    """Search a prepared corpus with the champion system of the pipeline, or with the retriever that is named.

    Example: tandem search "sort a table by a column" --number 3
    """
    from tandem.retrievers.hybrid import open_system
    from tandem.retrievers.retriever import load_retriever, searcher
    from tandem.retrievers.system import read_system
    from tandem.runs import name_texts, rank_results
    from tandem.runtime.hardware import device_name

    documents = Corpus(corpus).texts
    if model is None:
        index = open_system(read_system(CHAMPIONS), device=device_name())
    else:
        index = searcher(load_retriever(model, device=device_name()), documents)  # which encodes the whole corpus for one query
    run = index.search(name_texts([query]), depth=depth)
    (results,) = rank_results(run).values()
    for rank, item in enumerate(results, start=1):
        text = " ".join(documents[item.doc_id].split())
        print(f"{rank:>2}  {item.score:7.3f}  {item.doc_id}\n    {text[:160]}")
