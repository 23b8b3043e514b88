"""Leaks that are there are found, and chance is none."""

from __future__ import annotations

from typing import Any

import pytest
from ir_measures import Qrel

from tandem.evaluation.leaks import HeldOut, LeakSettings, TrainingData, check_all, raise_leaks, selection_bias, to_markdown
from tandem.formats.jsonl import InputError
from tandem.records import Document, LabelledPair, PseudoQuery

CORPUS = [Document(doc_id=f"d{i}", text=f"text {i}") for i in range(200)]
QUERIES = {f"t{i}": f"what does function number {i} do" for i in range(50)}
QRELS = [Qrel(f"t{i}", f"d{i}", 1) for i in range(50)]


def pair(query_id: str, text: str) -> LabelledPair:
    return LabelledPair(query_id=query_id, text=text, doc_id="d100")


def checked(**changes: Any) -> list[Any]:
    data: dict[str, Any] = {
        "corpus": CORPUS,
        "train": [pair(f"a{i}", f"how is table {i} sorted") for i in range(20)],
        "dev": [pair(f"b{i}", f"which line of file {i} is longest") for i in range(5)],
        "queries": QUERIES,
        "qrels": QRELS,
        # every fourth document is relevant to a test query, and so is every fourth of those that queries were written for
        "generated": {
            "r1": [PseudoQuery(query_id=f"g{i}", text=f"generated text of document {i}", doc_id=f"d{i}") for i in range(0, 200, 4)]
        },
        "template": "Document: {document}\nQuery:",
        "near_duplicate_threshold": 0.9,
        "allowed_share": 0.02,
        "alpha": 1e-3,
    }
    data |= changes
    corpus, held_out = data.pop("corpus"), HeldOut(data.pop("queries"), data.pop("qrels"))
    training = TrainingData(*(data.pop(name) for name in ("train", "dev", "generated", "template")))
    return check_all(corpus, training, held_out, LeakSettings(**data))


def written(texts: list[str], doc_ids: list[str]) -> dict[str, list[PseudoQuery]]:
    rows = zip(texts, doc_ids, strict=True)
    return {"r1": [PseudoQuery(query_id=f"g{i}", text=text, doc_id=doc_id) for i, (text, doc_id) in enumerate(rows)]}


def test_clean_data_passes() -> None:
    findings = checked()
    assert len(findings) == 9
    raise_leaks(findings, remedy="clean it")
    assert to_markdown(findings).count("clean") == 9


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"train": [pair("t3", "anything else at all")]}, "test queries among labelled pairs, by id"),
        ({"train": [pair("x", "What does function number 3 do?")]}, "test queries among training pairs, by words"),
        ({"dev": [pair("x", "do what does number function 3")]}, "test queries among dev pairs, by words"),
        ({"template": "Example: what does function number 3 do\n{document}"}, None),  # one word more: .875 similar
        ({"template": "what does function number 3 do\n{document}"}, "test queries in the prompt's template"),
        ({"train": [pair("b1", "anything else at all")]}, "dev queries among training pairs, by id"),
        ({"train": [pair("x", "which line of file 1 is longest")]}, "dev queries among training pairs, by words"),
        ({"generated": written(list(QUERIES.values()), [f"d{i}" for i in range(0, 200, 4)])}, "test queries among those of r1"),
        ({"generated": written([f"text {i}" for i in range(50)], [f"d{i}" for i in range(50)])}, "test documents barred or favoured in r1"),
        (
            {"generated": written(["x"] * 60, [f"d{i + 50}" for i in range(60)])},
            "test documents barred or favoured in r1",
        ),
    ],
)
def test_a_leak_ends_in_one_error_that_names_it(changes: dict[str, Any], check: str | None) -> None:
    findings = checked(**changes)
    if check is None:
        return raise_leaks(findings, remedy="clean it")
    assert check in [finding.check for finding in findings if finding.failed]
    with pytest.raises(InputError, match="leak: ") as error:
        raise_leaks(findings, remedy="clean it")
    assert check in str(error.value)
    assert str(error.value).endswith("Take them out of the data: clean it")
    assert "\n" not in str(error.value)
    return None


def test_a_generator_may_write_a_test_query_by_chance() -> None:
    texts = [QUERIES["t0"], *(f"text {i}" for i in range(49))]
    generated = written(texts, [f"d{i}" for i in range(0, 200, 4)])
    assert not [f for f in checked(generated=generated) if f.failed]
    assert [f.check for f in checked(generated=generated, allowed_share=0.0) if f.failed] == ["test queries among those of r1"]


def test_the_bias_is_the_hypergeometric_tail() -> None:
    """Two of four documents drawn, both marked, of two marked: chance 1/6 one-sided, 1/3 two-sided."""
    population = set("abcd")
    assert not selection_bias("x", {"a", "b"}, {"a", "b"}, population, alpha=0.33).failed
    found = selection_bias("x", {"a", "b"}, {"a", "b"}, population, alpha=0.34)
    assert found.failed
    assert "2 of the 2 documents queried are relevant to a test query, 1.0 expected, p 0.33" in found.examples[0]
