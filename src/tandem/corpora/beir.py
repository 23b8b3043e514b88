"""BEIR data sets: a folder in their layout, or one of the published names, downloaded, checked and unpacked."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import requests
from tqdm import tqdm

from tandem.corpora.collection import Collection
from tandem.formats.beir import read_corpus, read_judgements, read_queries, split_known
from tandem.formats.errors import InputError
from tandem.records import LabelledPair
from tandem.settings import SettingError

__all__ = ["CHECKSUMS", "download", "load_folder"]

URL = "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets/{name}.zip"
# MD5 of each archive, as the BEIR project publishes them.
CHECKSUMS = {
    "arguana": "8ad3e3c2a5867cdced806d6503f29b99",
    "cqadupstack": "4e41456d7df8ee7760a7f866133bda78",
    "climate-fever": "8b66f0a9126c521bae2bde127b4dc99d",
    "dbpedia-entity": "c2a39eb420a3164af735795df012ac2c",
    "fever": "5a818580227bfb4b35bb6fa46d9b6c03",
    "fiqa": "17918ed23cd04fb15047f73e6c3bd9d9",
    "hotpotqa": "f412724f78b0d91183a0e86805e16114",
    "msmarco": "444067daf65d982533ea17ebd59501e4",
    "nfcorpus": "a89dba18a62ef92f7d323ec890a0d38d",
    "nq": "d4d3d2e48787a744b6f6e691ff534307",
    "quora": "18fb154900ba42a600f84b839c173167",
    "scidocs": "38121350fc3a4d2f48850f6aff52e4a9",
    "scifact": "5f7d1de60b170fc8027bb7898e2efca1",
    "trec-covid": "ce62140cb23feb9becf6270d0d1fe6d1",
    "webis-touche2020": "46f650ba5a527fc69e0a6521c5a23563",
}
FORUMS = ("android", "english", "gaming", "gis", "mathematica", "physics", "programmers", "stats", "tex", "unix", "webmasters", "wordpress")


def load_folder(folder: Path, *, test_split: str = "test") -> Collection:
    """Read a folder in BEIR layout; a split without a qrels file is empty, and only positive judgements are pairs.

    Documents with neither title nor text are left out (FiQA), and so are judgements of what is not there (ArguAna); both are named.

    Args:
        folder: holds ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/``.
        test_split: the name of the split to measure on (MS MARCO's is ``dev``).

    Raises:
        InputError: a file is missing or malformed, most of a split is about what is not there, or no split has judgements.
    """
    if not folder.is_dir():
        raise SettingError("path", f"'{folder}' is not a folder; a BEIR folder holds corpus.jsonl")
    documents, empty = read_corpus(folder / "corpus.jsonl")
    queries = read_queries(folder / "queries.jsonl")
    doc_ids, texts = {document.doc_id for document in documents}, {query.query_id: query.text for query in queries}
    left_out: dict[str, list[str]] = {"document with neither title nor text": empty} if empty else {}
    splits: dict[str, list[LabelledPair]] = {}
    for split in ("train", test_split):
        path = folder / "qrels" / f"{split}.tsv"
        qrels, repeated = read_judgements(path) if path.is_file() else ([], [])
        known, lost = split_known(qrels, path, query_ids=texts.keys(), doc_ids=doc_ids)
        left_out |= lost | ({f"judgement in {path.name} that stands there before, merged with it": repeated} if repeated else {})
        splits[split] = [
            LabelledPair(query_id=q.query_id, text=texts[q.query_id], doc_id=q.doc_id, relevance=q.relevance)
            for q in known
            if q.relevance > 0
        ]
    if not splits[test_split]:
        measured = folder / "qrels" / f"{test_split}.tsv"
        there = sorted(path.stem for path in measured.parent.glob("*.tsv"))
        found = "no positive judgement to measure with" if measured.is_file() else f"no such file; there are {', '.join(there) or 'none'}"
        raise InputError(f"{measured}: {found}; test_split names the split")
    return Collection(documents, splits["train"], splits[test_split], {"beir": folder.name}, left_out)


def download(name: str, cache: Path, *, timeout_seconds: float = 30.0) -> Path:
    """The unpacked folder of a published data set, fetched once; a broken download goes on where it stopped.

    Raises:
        InputError: an unknown name, no network, or an archive whose MD5 is not the published one.
    """
    dataset, _, forum = name.partition("/")
    parts = {"cqadupstack": FORUMS}.get(dataset)  # one archive of twelve collections
    if dataset not in CHECKSUMS or (forum and not parts):
        raise SettingError("name", f"'{name}' is no BEIR data set; allowed: {', '.join(sorted(CHECKSUMS))}")
    if parts and forum not in parts:
        names = ", ".join(f"{dataset}/{each}" for each in parts)
        raise SettingError("name", f"'{name}' found; {dataset} is {len(parts)} collections: {names}")
    if not (cache / name / "corpus.jsonl").exists():
        _fetch_dataset(dataset, cache, timeout_seconds)
    return cache / name


def _fetch_dataset(name: str, cache: Path, timeout_seconds: float) -> None:
    folder = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    archive, partial = cache / f"{name}.zip", cache / f"{name}.zip.part"
    if not archive.exists():
        _fetch(URL.format(name=name), partial, timeout_seconds)
        digest = _md5(partial)
        if digest != CHECKSUMS[name]:
            partial.unlink()
            raise InputError(f"{partial}: MD5 {digest}, published is {CHECKSUMS[name]}; removed, run the stage again")
        partial.replace(archive)
    draft = cache / f".{name}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(draft)
    (draft / name).replace(folder)
    shutil.rmtree(draft)
    archive.unlink()


def _fetch(url: str, partial: Path, timeout_seconds: float) -> None:
    start = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout_seconds) as response:
            if response.status_code == 416:  # the part is the whole
                return
            response.raise_for_status()
            resumed = response.status_code == 206
            total = int(response.headers.get("content-length", 0)) + (start if resumed else 0)
            with (
                partial.open("ab" if resumed else "wb") as file,
                tqdm(desc=partial.stem, total=total, initial=start if resumed else 0, unit="B", unit_scale=True) as bar,
            ):
                for chunk in response.iter_content(1 << 16):
                    file.write(chunk)
                    bar.update(len(chunk))
    except requests.RequestException as error:
        raise InputError(
            f"{url}: cannot be fetched ({type(error).__name__}); without a network, unpack the data set by hand and give its "
            "folder: source: beir, path: <folder>"
        ) from None


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
