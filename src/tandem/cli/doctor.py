"""``tandem doctor``: check a collection, or what params.yaml plans, before anything is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ConfigDict

from tandem.formats.errors import InputError
from tandem.runtime.params import load_params, read_params
from tandem.settings import PositiveShare, SettingError, Settings, Share

__all__ = ["LocalSource", "doctor"]


class LocalSource(Settings):
    """What a collection's section says of files that lie here; the stage checks the rest."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
    source: str
    path: str = ""
    pairs: str = ""
    test_split: str = "test"
    test_share: Share = 0.5
    near_duplicate_threshold: PositiveShare = 0.8
    near_duplicate_queries: PositiveShare | None = None


def doctor(
    path: Annotated[
        Path | None, typer.Argument(help="BEIR folder, JSONL or CSV file, folder of text files; left out: params.yaml's")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="JSONL or CSV of labelled pairs (query, doc_id)")] = None,
    test_split: Annotated[str, typer.Option(help="BEIR: the qrels to measure with")] = "test",
    test_share: Annotated[float, typer.Option(help="Of the labelled queries of files, how many to measure with")] = 0.5,
    params: Annotated[Path, typer.Option(help="Checked where no collection is given: rounds, updates, collections")] = Path("params.yaml"),
    plan: Annotated[bool, typer.Option("--plan", help="Of params.yaml check rounds and updates alone, which reads no document")] = False,
) -> None:
    """Check a collection, or params.yaml's plan and collections, before anything is run: what the pipeline keeps and leaves out.

    Example: tandem doctor documents.jsonl --pairs pairs.csv
    """
    from tandem.runtime.plan import check_plan

    if not 0 <= test_share <= 1:
        raise InputError(f"--test-share: {test_share:g} found, 0 to 1 is allowed")
    if path is not None:
        source = "beir" if (path / "corpus.jsonl").exists() else "files"
        _check_collection(
            LocalSource(source=source, path=str(path), pairs=str(pairs or ""), test_split=test_split, test_share=test_share),
            "prepare_corpus",
        )
        return
    content = read_params(params)
    loop = check_plan(content, params)
    print(f"{params}: rounds {', '.join(loop.rounds) or 'none'}; updates {', '.join(loop.updates) or 'none'}")
    for section in filter(content.__contains__, () if plan else ("prepare_corpus", "prepare_guard")):
        values = load_params(params, section, LocalSource)
        local = values.source == "files" or (values.source == "beir" and values.path)
        print(f"{section}: {'from files' if local else 'not from files, nothing to check before its stage'}")
        if local:
            _check_collection(values, section)


def _check_collection(source: LocalSource, section: str) -> None:
    from tandem.corpora.build import CorpusSettings, load_collection, to_lines
    from tandem.corpora.near_duplicates import with_groups

    settings = CorpusSettings(**source.model_dump(), seed=0)  # from what lies here nothing is drawn
    try:
        collection = load_collection(settings, cache=Path())
    except SettingError as error:  # which begins with a key
        raise InputError(f"{section}.{error}") from None
    print(f"layout            {'BEIR folder' if source.source == 'beir' else 'documents'}")
    print("\n".join(to_lines(collection, with_groups(collection.documents, threshold=source.near_duplicate_threshold))))
