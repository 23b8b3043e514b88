"""``tandem import``: LLaMA-Factory data sets as documents and labelled pairs, or as preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tandem.formats.errors import InputError

__all__ = ["import_data"]


def import_data(
    kind: Annotated[Literal["sft", "preferences"], typer.Argument(help="What the data set is")],
    folder: Annotated[Path, typer.Argument(help="Where dataset_info.json lies")],
    name: Annotated[str, typer.Argument(help="The data set's entry in it")],
    output: Annotated[Path, typer.Option(help="The folder to write into")] = Path(),
    document: Annotated[
        Literal["prompt", "completion"], typer.Option(help="sft: the side of a row that is the document; the other is the query")
    ] = "prompt",
    instruction: Annotated[str, typer.Option(help="Text that every prompt begins with, which is no part of the document")] = "",
    corpus: Annotated[Path, typer.Option(help="preferences: the prepared corpus that has the documents")] = Path("out/data/corpus.jsonl"),
    force: Annotated[bool, typer.Option(help="Replace files that are there")] = False,
) -> None:
    """Write documents.jsonl and pairs.jsonl for source files, or preferences.jsonl for build_preferences, from LLaMA-Factory's data.

    Example: tandem import sft LLaMA-Factory/data my_pairs --output collection
    """
    if kind == "sft":
        documents, pairs = output / "documents.jsonl", output / "pairs.jsonl"
        _refuse_to_replace([documents, pairs], force=force)
        counts = _import_supervised(folder, name, documents, pairs, document=document, instruction=instruction)
        print(f"{counts[0]} documents in {documents}, {counts[1]} labelled pairs in {pairs}")
        changes = f"--set prepare_corpus.path={documents} --set prepare_corpus.pairs={pairs}"
        print(f"tandem init --profile own-files {changes}")
    else:
        preferences = output / "preferences.jsonl"
        _refuse_to_replace([preferences], force=force)
        count = _import_preferences(folder, name, preferences, corpus, instruction=instruction)
        print(f"{count} preference pairs in {preferences}")
        print(f"dvc exp run -S build_preferences.file={preferences}")


def _refuse_to_replace(paths: list[Path], *, force: bool) -> None:
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        raise InputError(f"{there[0]} is there, and would be replaced: give another --output, or --force")


def _import_supervised(
    folder: Path, name: str, documents: Path, pairs: Path, *, document: Literal["prompt", "completion"], instruction: str
) -> tuple[int, int]:
    from tandem.corpora.fine_tuning_data import to_pairs
    from tandem.formats.jsonl import write_records
    from tandem.formats.llama_factory import SupervisedRow, read_dataset

    rows = [row for row in read_dataset(folder, name) if isinstance(row, SupervisedRow)]
    if not rows:
        raise InputError(f"{folder / 'dataset_info.json'}: {name}: preference data (ranking); `tandem import preferences` reads it")
    try:
        read_documents, read_pairs = to_pairs(rows, document=document, instruction=instruction)
    except InputError as error:
        raise InputError(f"{folder}: {name}: {error}") from None
    write_records(documents, read_documents)
    write_records(pairs, read_pairs)
    return len(read_documents), len(read_pairs)


def _import_preferences(folder: Path, name: str, preferences: Path, corpus: Path, *, instruction: str) -> int:
    from tandem.corpora.fine_tuning_data import to_preferences
    from tandem.formats.corpus import Corpus
    from tandem.formats.encodings import require_file
    from tandem.formats.jsonl import write_records
    from tandem.formats.llama_factory import PreferenceRow, read_dataset

    rows = [row for row in read_dataset(folder, name) if isinstance(row, PreferenceRow)]
    if not rows:
        raise InputError(f"{folder / 'dataset_info.json'}: {name}: supervised data (no ranking); `tandem import sft` reads it")
    require_file(corpus, "`dvc repro prepare_corpus` writes it, or name one with --corpus")
    try:
        pairs = to_preferences(rows, Corpus(corpus).texts, instruction=instruction)
    except InputError as error:
        raise InputError(f"{folder}: {name}: {error}") from None
    write_records(preferences, pairs)
    return len(pairs)
