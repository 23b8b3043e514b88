"""What a person types that is no stage: check a collection, search it, export data, bring MLflow up to date."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ConfigDict

from tandem.formats.jsonl import InputError, read_records
from tandem.params import Section, load_params, read_params
from tandem.records import Document, LabelledPair, PreferencePair, document_text
from tandem.settings import PositiveShare, Share

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def init(
    profile: Annotated[str | None, typer.Option(help="An overlay of configs/profiles; left out: the base, with --set alone")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as prepare_corpus.path=documents.jsonl; again for more")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Write recipes/NAME/params.yaml from its own profiles, instead of the loop's")] = None,
    base: Annotated[Path | None, typer.Option(help="The params.yaml to start from; the quickstart's by default")] = None,
    force: Annotated[bool, typer.Option(help="Replace a params.yaml that has changes which git does not have")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the profiles and write nothing")] = False,
) -> None:
    """Write a complete params.yaml: the quickstart's values, a profile over them, single values over both."""
    from tandem.formats.jsonl import write_text
    from tandem.profiles import base_params, has_uncommitted_changes, list_profiles, parse_changes, render_profile

    target = Path("recipes", recipe, "params.yaml") if recipe else Path("params.yaml")
    folder = target.parent / "profiles" if recipe else Path("configs/profiles")
    if show:
        for name, line in list_profiles(folder).items():
            print(f"{name:<28} {line}")
        return
    if not force and target.exists() and has_uncommitted_changes(target):
        raise ValueError(f"{target} has changes that git does not have, and would be replaced: commit them, or give --force")
    text = render_profile(base_params(base or target), folder, profile, parse_changes(change or []))
    write_text(target, text)
    print(f"{target}: {'profile ' + profile if profile else 'the base'}; `git diff {target}` shows what differs")


class LocalSource(Section):
    """What a collection's section says of files that lie here; the stage checks the rest."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
    source: str
    path: str = ""
    pairs: str = ""
    test_split: str = "test"
    test_share: Share = 0.5
    near_duplicate_threshold: PositiveShare = 0.8
    near_duplicate_queries: PositiveShare | None = None


@app.command()
def doctor(
    path: Annotated[
        Path | None, typer.Argument(help="BEIR folder, JSONL or CSV file, folder of text files; left out: params.yaml's")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="JSONL or CSV of labelled pairs (query, doc_id)")] = None,
    test_split: Annotated[str, typer.Option(help="BEIR: the qrels to measure with")] = "test",
    test_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the labelled queries of files, how many to measure with")] = 0.5,
    params: Annotated[Path, typer.Option(help="Checked where no collection is given: rounds, updates, collections")] = Path("params.yaml"),
    plan: Annotated[bool, typer.Option("--plan", help="Of params.yaml check rounds and updates alone, which reads no document")] = False,
) -> None:
    """Check a collection, or params.yaml's plan and collections, before anything is run: what the pipeline keeps and leaves out."""
    from tandem.rounds import check_rounds

    if path is not None:
        source = "beir" if (path / "corpus.jsonl").exists() else "files"
        _check_collection(source=source, path=str(path), pairs=str(pairs or ""), test_split=test_split, test_share=test_share)
        return
    content = read_params(params)
    check_rounds(content, params)
    print(f"{params}: rounds {', '.join(content.get('rounds', ())) or 'none'}; updates {', '.join(content.get('updates', ())) or 'none'}")
    for section in filter(content.__contains__, () if plan else ("prepare_corpus", "prepare_guard")):
        values = load_params(params, section, LocalSource)
        local = values.source == "files" or (values.source == "beir" and values.path)
        print(f"{section}: {'from files' if local else 'not from files, nothing to check before its stage'}")
        if local:
            _check_collection(**values.model_dump(), section=section)


def _check_collection(*, near_duplicate_threshold: float = 0.8, **values: Any) -> None:
    from tandem.corpora.build import load_collection, to_lines
    from tandem.corpora.near_duplicates import with_groups

    unused: dict[str, Any] = {"packages": [], "documents": 0, "test_queries": 0, "seed": 0, "name": "", "cache": Path()}
    collection = load_collection(**{"near_duplicate_queries": None, **unused, **values})
    print(f"layout            {'BEIR folder' if values['source'] == 'beir' else 'documents'}")
    print("\n".join(to_lines(collection, with_groups(collection.documents, threshold=near_duplicate_threshold))))


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for")],
    model: Annotated[Path | None, typer.Option(help="A retriever's weights; left out: the champion's")] = None,
    corpus: Annotated[Path, typer.Option(help="A prepared corpus")] = Path("data/corpus.jsonl"),
    number: Annotated[int, typer.Option(min=1, help="Results to show")] = 5,
) -> None:
    """Search a prepared corpus with the champion of the pipeline, or with the retriever that is named."""
    from tandem.hardware import device_name
    from tandem.retrievers.retriever import load_retriever
    from tandem.retrievers.retriever import search as search_corpus
    from tandem.runs import name_texts, rank_results

    documents = {document.doc_id: document_text(document) for document in read_records(corpus, Document)}
    run = search_corpus(load_retriever(model or _champion_weights(), device=device_name()), documents, name_texts([query]), depth=number)
    (results,) = rank_results(run).values()
    for rank, item in enumerate(results, start=1):
        text = " ".join(documents[item.doc_id].split())
        print(f"{rank:>2}  {item.score:7.3f}  {item.doc_id}\n    {text[:160]}")


def _champion_weights(path: Path = Path("report/champions.json")) -> Path:
    """Where the champion of the retrievers lies, by the gate's own report."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, so no champion yet; `dvc repro` chooses one, or name a retriever's weights")
    return Path(json.loads(path.read_text(encoding="utf8"))["retriever"]["folder"], "weights")


def _latest_preferences() -> Path:
    """The preference pairs of the last update in params.yaml's order that has any."""
    names = [
        name for name in read_params(Path("params.yaml")).get("updates", {}) if Path("generators", name, "preferences.jsonl").is_file()
    ]
    if not names:
        raise FileNotFoundError("generators/: no preferences.jsonl in it; `dvc repro` makes them, or name a file with --source")
    return Path("generators", names[-1], "preferences.jsonl")


@app.command()
def export(
    kind: Annotated[Literal["sft", "preferences", "stanford"], typer.Argument(help="What to export")],
    folder: Annotated[Path, typer.Argument(help="Where dataset_info.json lies or is made; of stanford: the checkpoint to make")],
    formatting: Annotated[Literal["alpaca", "sharegpt"], typer.Option(help="LLaMA-Factory's form")] = "alpaca",
    source: Annotated[Path | None, typer.Option(help="Left out: the champion, the labelled pairs, the last preferences")] = None,
    corpus: Annotated[Path, typer.Option(help="A prepared corpus")] = Path("data/corpus.jsonl"),
) -> None:
    """Write labelled pairs or preference pairs as LLaMA-Factory reads them, or a ColBERT as Stanford's code does."""
    if kind == "stanford":
        from sentence_transformers import MultiVectorEncoder

        from tandem.retrievers.retriever import load_retriever
        from tandem.retrievers.stanford import export_stanford

        weights = source or _champion_weights()
        retriever = load_retriever(weights)
        if not isinstance(retriever, MultiVectorEncoder):
            raise ValueError(f"{weights}: no ColBERT, as Stanford's format has; name one, such as --source rounds/r1/retriever/weights")
        export_stanford(retriever, folder)
        print(f"{folder}: a checkpoint for colbert-ai")
        return
    from tandem.formats.llama_factory import PreferenceRow, Row, SupervisedRow, write_dataset

    documents = {document.doc_id: document_text(document) for document in read_records(corpus, Document)}
    rows: list[Row]
    if kind == "sft":
        source = source or Path("data/pairs/train.jsonl")
        pairs = read_records(source, LabelledPair)
        _check_known(documents, pairs, source, corpus)
        rows = [SupervisedRow(prompt=documents[pair.doc_id], completion=pair.text) for pair in pairs]
    else:
        source = source or _latest_preferences()
        preferences = read_records(source, PreferencePair)
        _check_known(documents, preferences, source, corpus)
        rows = [PreferenceRow(prompt=documents[p.doc_id], chosen=p.chosen, rejected=p.rejected) for p in preferences]
    write_dataset(folder, f"tandem_{kind}", rows, formatting=formatting)
    print(f"{len(rows)} rows in {folder / f'tandem_{kind}.json'}, entry 'tandem_{kind}' in {folder / 'dataset_info.json'}")


def _check_known(documents: Mapping[str, str], rows: Sequence[LabelledPair | PreferencePair], source: Path, corpus: Path) -> None:
    lost = [row.doc_id for row in rows if row.doc_id not in documents]
    if lost:
        raise InputError(
            f"{source}: doc_id: '{lost[0]}' is not in {corpus} ({len(lost)} such rows); give the corpus that they are of: --corpus"
        )


@app.command()
def champion(
    role: Annotated[str, typer.Argument(help="retriever, reranker or generator; left out: all are listed")] = "",
    version: Annotated[str, typer.Argument(help="The registered version to make champion, whatever the gate says")] = "",
) -> None:
    """List the registered models and who is champion, or move a role's champion by hand."""
    from tandem.tracking import list_champions, move_champion

    if role and version:
        move_champion(role, version)
    for own, number, shown, alias in list_champions():
        if role in ("", own):
            print(f"{own:<10} {number:>3}  {alias:<9} {shown}")


@app.command()
def sync(
    records: Annotated[Path, typer.Argument(help="The folder of records")] = Path("records"),
    history: Annotated[bool, typer.Option(help="Superseded executions and those of experiments too, from DVC's cache and git")] = False,
) -> None:
    """Make the MLflow runs of every record that has none yet; pretraining and each recipe have an experiment of their own."""
    from tandem.store import read_champions
    from tandem.tracking import sync as sync_records
    from tandem.tracking import tracking_uri

    files = Path("report/champions.json"), Path("report/reranker.json")
    there = records == Path("records") and all(path.is_file() for path in files)
    champions = read_champions(*files) if there else {}
    counts = sync_records(records, report=Path("report/report.html"), champions=champions, say=print, history=history)
    print(f"{tracking_uri()}: {counts['created']} stage runs created, {counts['present']} present")
    if records != Path("records"):
        return
    for folder in (Path("pretraining/records"), *sorted(Path("recipes").glob("*/records"))):
        if folder.is_dir():
            counts = sync_records(folder, experiment=f"tandem-{folder.parent.name}")
            print(f"{folder.parent.name}: {counts['created']} stage runs created, {counts['present']} present")


def main() -> None:
    """Run the command line; bad input ends it with one line."""
    try:
        app()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).splitlines())}")


if __name__ == "__main__":
    main()
