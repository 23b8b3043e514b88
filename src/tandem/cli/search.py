"""``tandem search``: what the champion finds for a query."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.cli.champion import CHAMPIONS
from tandem.formats.corpus import Corpus

if TYPE_CHECKING:
    from tandem.interfaces import Searcher

__all__ = ["open_champion", "search"]

RERANKER = Path("out/report/reranker.json")


def search(
    query: Annotated[str, typer.Argument(help="What to look for")],
    model: Annotated[Path | None, typer.Option(help="A retriever's weights; left out: the champion's")] = None,
    corpus: Annotated[Path, typer.Option(help="A prepared corpus")] = Path("out/data/corpus.jsonl"),
    depth: Annotated[int, typer.Option("--number", min=1, help="Results to show")] = 5,
) -> None:
    """Search a prepared corpus with the champion system of the pipeline, or with the retriever that is named.

    Example: tandem search "sort a table by a column" --number 3
    """
    from tandem.retrievers.retriever import load_retriever, searcher
    from tandem.runs import name_texts, rank_results
    from tandem.runtime.hardware import device_name

    documents = Corpus(corpus).texts
    if model is None:
        index = open_champion(documents, device=device_name())
    else:
        index = searcher(load_retriever(model, device=device_name()), documents)  # which encodes the whole corpus for one query
    run = index.search(name_texts([query]), depth=depth)
    (results,) = rank_results(run).values()
    for rank, item in enumerate(results, start=1):
        text = " ".join(documents[item.doc_id].split())
        print(f"{rank:>2}  {item.score:7.3f}  {item.doc_id}\n    {text[:160]}")


def open_champion(documents: Mapping[str, str], *, device: str) -> Searcher:
    """The champion system of the pipeline, with the reranker that the gate found worth having over it, where there is one.

    Args:
        documents: text by doc_id, of the corpus that its indexes are of.
        device: of the models.
    """
    from tandem.generators.query_likelihood import open_query_likelihood
    from tandem.rerankers.reranked import Reranked, open_scorer, read_reranker
    from tandem.retrievers.hybrid import open_system
    from tandem.retrievers.system import read_system

    system = read_system(CHAMPIONS)
    index, reranker = open_system(system, device=device), read_reranker(RERANKER, retriever=system.name)
    judge = open_scorer(reranker, partial(open_query_likelihood, device=device), device=device) if reranker else None
    if reranker is None or judge is None:
        return index
    return Reranked(index, judge, documents, rerank_depth=reranker.rerank_depth, weight=reranker.weight)
