"""A reranked system: the mixture that evaluation measures, what lies beyond, and what its description opens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ir_measures import ScoredDoc

from tandem.rerankers.judge import JudgeSettings
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranked import Reranked, RerankerSystem, describe_judge, open_scorer, read_reranker
from tandem.rerankers.reranker import Reranker

DOCUMENTS = {f"d{i}": f"text {i}" for i in range(6)}
JUDGE = JudgeSettings(scorer="reranker", model="some", form=None, batch_size=2)


class Fixed:
    """Finds d0 to d5 for every query, with falling scores."""

    def search(self, queries: Mapping[str, str], *, depth: int) -> Sequence[ScoredDoc]:
        return [ScoredDoc(query_id, doc_id, 10.0 - i) for query_id in queries for i, doc_id in enumerate(DOCUMENTS)][:depth]


def test_the_first_are_mixed_and_the_rest_keep_their_order() -> None:
    """Of d0, d1, d2 the system says 1, .5, 0 and the judge 0, .5, 1: at .6 d2 leads with .6; d3 to d5 stay behind."""
    judged: list[tuple[str, str]] = []

    def judge(pairs: Sequence[tuple[str, str]]) -> list[float]:
        judged.extend(pairs)
        return [float(document.split()[1]) for _, document in pairs]

    system = Reranked(Fixed(), judge, DOCUMENTS, rerank_depth=3, weight=0.6)
    results = system.search({"q": "which"}, depth=5)
    assert [item.doc_id for item in results] == ["d2", "d1", "d0", "d3", "d4"]
    assert [item.score for item in results[:3]] == pytest.approx([0.6, 0.5, 0.4])
    assert judged == [("which", f"text {i}") for i in range(3)]
    assert [item.doc_id for item in system.search({"q": "which"}, depth=1)] == ["d2"]
    alone = Reranked(Fixed(), judge, DOCUMENTS, rerank_depth=3, weight=0.0)
    assert [item.doc_id for item in alone.search({"q": "which"}, depth=6)] == list(DOCUMENTS)


def test_what_was_measured_over_another_system_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "reranker.json"
    assert read_reranker(path, retriever="fusion") is None
    path.write_text(json.dumps({"champion": ""}))
    assert read_reranker(path, retriever="fusion") is None
    described = describe_judge("relevance", Path("weights"), JUDGE, rerank_depth=7).model_copy(
        update={"retriever": "fusion", "weight": 0.3}
    )
    path.write_text(json.dumps({"champion": "relevance", "system": described.model_dump()}))
    assert read_reranker(path, retriever="fusion") == described
    assert read_reranker(path, retriever="fusion-r1") is None


def test_a_description_opens_what_it_describes(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    form = PairFormat(kind="encoder", max_length=32, max_query_length=8)
    Reranker(str(tiny_cross_encoder), form, new_head=True, seed=1).save(tmp_path / "weights")
    pairs = [("sort the rows", "the rows of a table"), ("draw a line", "mean of an array")]
    expected = Reranker(str(tmp_path / "weights")).compute_score(pairs)
    final = describe_judge("final", tmp_path / "weights", JUDGE, rerank_depth=7)
    judge = open_scorer(final, pytest.fail)
    assert judge is not None
    assert judge(pairs) == pytest.approx(expected, abs=1e-5)
    assert describe_judge("relevance", tmp_path, JUDGE, rerank_depth=7).settings["model"] == "some"
    likelihood = RerankerSystem(scorer="likelihood", weights="g1", rerank_depth=3, settings={"template": "x"})
    opened = open_scorer(likelihood, lambda weights, settings: lambda pairs: [f"{weights}{settings['template']}"])  # type: ignore[list-item]
    assert opened is not None
    assert opened(pairs) == ["g1x"]
    (tmp_path / "weights/untrained").write_text("")
    with pytest.warns(UserWarning, match="no labelled pairs"):
        assert open_scorer(final, pytest.fail) is None
