"""Rerankers of four kinds: equal scores whatever the batch, formats kept with checkpoints, lists and runs in order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from conftest import TEXTS
from ir_measures import ScoredDoc

from rerankers.forms import PAIRS, every_kind
from tandem.rerankers.reranker import Reranker


@every_kind
def test_scores_do_not_depend_on_batch_or_order(reranker: Reranker) -> None:
    expected = reranker.compute_score(PAIRS, batch_size=1)
    assert len({round(score, 5) for score in expected}) > 10
    shuffled = list(range(len(PAIRS)))
    random.Random(1).shuffle(shuffled)
    for batch_size in (2, 7, 64):
        found = reranker.compute_score([PAIRS[i] for i in shuffled], batch_size=batch_size)
        assert found == pytest.approx([expected[i] for i in shuffled], abs=1e-4)
    one = reranker.compute_score(PAIRS[:1])
    assert isinstance(one, list)
    assert one == pytest.approx(expected[:1], abs=1e-4)
    assert reranker.compute_score([]) == []


@every_kind
def test_saved_and_loaded_scores_the_same_without_arguments(reranker: Reranker, tmp_path: Path) -> None:
    expected = reranker.compute_score(PAIRS)
    reranker.save(tmp_path / "saved")
    again = Reranker(str(tmp_path / "saved"))
    assert again.scorer.form == reranker.scorer.form
    assert again.compute_score(PAIRS) == pytest.approx(expected, abs=1e-4)


def test_a_folder_without_a_format_is_no_reranker(tiny_cross_encoder: Path) -> None:
    with pytest.raises(ValueError, match=r"no pair_format\.json"):
        Reranker(str(tiny_cross_encoder))


@pytest.mark.parametrize("reranker", ["encoder"], indirect=True)
def test_rerank_keeps_ids_and_every_document(reranker: Reranker) -> None:
    documents = {**TEXTS, "empty": ""}
    ranked = reranker.rerank("average of an array", documents)
    assert {item.doc_id for item in ranked} == set(documents)
    assert [item.rank for item in ranked] == list(range(1, 8))
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)
    assert {item.doc_id for item in reranker.rerank("x", list(TEXTS.values()))} == {str(i) for i in range(6)}
    assert reranker.rerank("x", []) == []


@pytest.mark.parametrize("reranker", ["encoder"], indirect=True)
def test_a_long_document_scores_as_its_best_window(reranker: Reranker) -> None:
    words = " ".join(TEXTS.values()).split()
    windows = [" ".join(words[i : i + 20]) for i in range(0, len(words) - 5, 15)]
    ((item),) = reranker.rerank("average of an array", {"d": " ".join(words)}, window_words=20, overlap_words=5)
    assert item.score == pytest.approx(max(reranker.compute_score([("average of an array", w) for w in windows])), abs=1e-5)
    with pytest.raises(ValueError, match="overlap_words"):
        reranker.rerank("x", {"d": "word " * 99}, window_words=10, overlap_words=10)


@pytest.mark.parametrize("reranker", ["encoder"], indirect=True)
def test_a_run_is_rescored_to_its_depth(reranker: Reranker) -> None:
    run = [ScoredDoc("q", doc_id, float(i)) for i, doc_id in enumerate(TEXTS)]
    rescored = reranker.rerank_run(run, {"q": "merge two tables by key"}, TEXTS, depth=3)
    assert {item.doc_id for item in rescored} == set(list(TEXTS)[3:])
    assert rescored[0].score == pytest.approx(reranker.compute_score([("merge two tables by key", TEXTS["plot"])])[0], abs=1e-4)
