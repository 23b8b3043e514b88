"""Generated dev queries: of documents that nothing is trained on, kept where they find their document."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from generators.test_queries import PROMPT, SETTINGS
from ir_measures import ScoredDoc

from tandem.formats.jsonl import write_records
from tandem.generators.dev_queries import DevQuerySettings, HeldOut, hold_out_queries
from tandem.generators.prompts import PromptedSettings, PromptSettings
from tandem.generators.queries import GenerationSettings, generate_queries
from tandem.records import Document, PseudoQuery
from tandem.runtime.hardware import Compute

CORPUS = [Document(doc_id=f"d{i}", text=f"text number {i}", group="twins" if i in (0, 1) else "") for i in range(20)]
PROMPTED = PromptedSettings(prompt=PromptSettings.model_validate(PROMPT), language="english")


@pytest.fixture
def generation(tmp_path: Path) -> GenerationSettings:
    """Queries from a file: two a document, each with the id of its document in it."""
    rows = [PseudoQuery(query_id=f"q{i}{j}", text=f"what is d{i} {j}", doc_id=f"d{i}") for i in range(20) for j in range(2)]
    write_records(tmp_path / "queries.jsonl", rows)
    return GenerationSettings.model_validate(
        {**SETTINGS, "backend": "file", "file": str(tmp_path / "queries.jsonl"), "sampled_documents": 20}
    )


def hold_out(generation: GenerationSettings, tmp_path: Path, **settings: int) -> HeldOut:
    def search(queries: Mapping[str, str]) -> list[ScoredDoc]:
        """Every second document is found first, the others at rank 3."""
        found = []
        for query_id, text in queries.items():
            doc_id = text.split()[2]
            place = 4.0 if int(doc_id[1:]) % 2 == 0 else 2.0
            found += [ScoredDoc(query_id, "x", 3.5), ScoredDoc(query_id, "y", 3.0), ScoredDoc(query_id, doc_id, place)]
        return found

    compute = Compute(device="cpu", bf16=False, seed=1, scratch=Path())
    chosen = DevQuerySettings.model_validate({"documents": 4, "keep_within": 3, **settings})
    return hold_out_queries(CORPUS, Path(), chosen, generation, PROMPTED, search, cache=tmp_path / "cache.jsonl", compute=compute)


def test_one_query_for_each_of_so_many_documents(generation: GenerationSettings, tmp_path: Path) -> None:
    held_out = hold_out(generation, tmp_path)
    assert len(held_out.pairs) == held_out.counts["generated"] == 4
    assert {pair.doc_id for pair in held_out.pairs} <= set(held_out.doc_ids)
    assert all(pair.text.startswith(f"what is {pair.doc_id} ") for pair in held_out.pairs)
    assert ("d0" in held_out.doc_ids) == ("d1" in held_out.doc_ids)  # near duplicates are held out together
    assert hold_out(generation, tmp_path) == held_out


def test_a_query_that_does_not_find_its_document_is_left_out(generation: GenerationSettings, tmp_path: Path) -> None:
    every = {pair.doc_id for pair in hold_out(generation, tmp_path).pairs}
    kept = hold_out(generation, tmp_path, keep_within=1)
    assert {pair.doc_id for pair in kept.pairs} == {doc_id for doc_id in every if int(doc_id[1:]) % 2 == 0}
    assert len(kept.doc_ids) >= 4  # the others are not trained on either


def test_at_most_a_fifth_of_a_corpus_is_held_out(generation: GenerationSettings, tmp_path: Path) -> None:
    assert hold_out(generation, tmp_path, documents=1000).counts["generated"] == 4
    assert hold_out(generation, tmp_path, documents=0) == HeldOut([], [], {"generated": 0, "held_out_documents": 0})


def test_at_most_a_fifth_of_what_a_file_has_queries_for(generation: GenerationSettings, tmp_path: Path) -> None:
    rows = [PseudoQuery(query_id=f"q{i}", text=f"what is d{i} 0", doc_id=f"d{i}") for i in range(5, 15)]
    write_records(tmp_path / "queries.jsonl", rows)
    held_out = hold_out(generation, tmp_path)
    assert held_out.counts["generated"] == len(held_out.doc_ids) == 2


def test_no_round_writes_for_a_held_out_document(
    generation: GenerationSettings, tiny_generator: Path, corpus: list[Document], tmp_path: Path
) -> None:
    compute = Compute(device="cpu", bf16=False, seed=1, scratch=Path())
    common: dict[str, Any] = {"prefix": "r1", "cache": tmp_path / "cache.jsonl", "compute": compute}
    rows, _ = generate_queries(CORPUS, Path(), generation, PROMPTED, held_out=["d3", "d4"], **common)
    assert {row.doc_id for row in rows} == {f"d{i}" for i in range(20)} - {"d3", "d4"}
    sampled = GenerationSettings.model_validate({**SETTINGS, "sampled_documents": 99})
    rows, _ = generate_queries(corpus, tiny_generator, sampled, PROMPTED, held_out=[corpus[0].doc_id], **common)
    assert {row.doc_id for row in rows} == {document.doc_id for document in corpus[1:]}
