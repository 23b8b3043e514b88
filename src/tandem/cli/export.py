"""``tandem export``: labelled pairs, preference pairs or a retriever, as other programs read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from tandem.cli.champion import champion_weights
from tandem.formats.jsonl import InputError, read_records
from tandem.records import Document, LabelledPair, PreferencePair, document_text
from tandem.runtime.params import read_params

__all__ = ["export"]


def _latest_preferences() -> Path:
    """The preference pairs of the last update in params.yaml's order that has any."""
    names = [
        name for name in read_params(Path("params.yaml")).get("updates", {}) if Path("out/generators", name, "preferences.jsonl").is_file()
    ]
    if not names:
        raise FileNotFoundError("out/generators/: no preferences.jsonl in it; `dvc repro` makes them, or name a file with --source")
    return Path("out/generators", names[-1], "preferences.jsonl")


def export(
    kind: Annotated[Literal["sft", "preferences", "stanford", "sentence-transformers"], typer.Argument(help="What to export")],
    folder: Annotated[Path, typer.Argument(help="Where dataset_info.json lies or is made; of a retriever: the folder to make")],
    formatting: Annotated[Literal["alpaca", "sharegpt"], typer.Option(help="LLaMA-Factory's form")] = "alpaca",
    source: Annotated[Path | None, typer.Option(help="Left out: the champion, the labelled pairs, the last preferences")] = None,
    corpus: Annotated[Path, typer.Option(help="A prepared corpus")] = Path("out/data/corpus.jsonl"),
) -> None:
    """Write pairs as LLaMA-Factory reads them, a ColBERT as Stanford's code does, or a dense retriever as sentence-transformers does.

    Example: tandem export sft LLaMA-Factory/data --formatting sharegpt
    """
    if kind == "sentence-transformers":
        from tandem.retrievers.export import export_sentence_transformers, load_for_export

        difference = export_sentence_transformers(load_for_export(source or champion_weights()), folder)
        print(f"{folder}: SentenceTransformer('{folder}') reads it; vectors read back differ by {difference:.1g} at most")
        return
    if kind == "stanford":
        from sentence_transformers import MultiVectorEncoder

        from tandem.retrievers.retriever import load_retriever
        from tandem.retrievers.stanford import export_stanford

        weights = source or champion_weights()
        retriever = load_retriever(weights)
        if not isinstance(retriever, MultiVectorEncoder):
            raise ValueError(f"{weights}: no ColBERT, as Stanford's format has; name one, such as --source out/rounds/r1/retriever/weights")
        export_stanford(retriever, folder)
        print(f"{folder}: a checkpoint for colbert-ai")
        return
    from tandem.formats.llama_factory import PreferenceRow, Row, SupervisedRow, write_dataset

    documents = {document.doc_id: document_text(document) for document in read_records(corpus, Document)}
    rows: list[Row]
    if kind == "sft":
        source = source or Path("out/data/pairs/train.jsonl")
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
