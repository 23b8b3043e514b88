"""The loss of a query under a frozen retriever, against its formula; what mined negatives and a teacher add to training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
import torch
from ir_measures import ScoredDoc

from tandem.records import Document, LabelledPair, PseudoQuery, RankingRow
from tandem.retrievers import colbert
from tandem.retrievers.examples import build_training_set
from tandem.retrievers.hard_negatives import mine_rows
from tandem.retrievers.losses import distillation_loss
from tandem.retrievers.query_loss import QueryLoss
from tandem.retrievers.retriever import build_retriever, load_retriever, save_retriever, search, vectors_of


def rows(corpus: Sequence[Document]) -> list[PseudoQuery]:
    texts = {"sort": "order a table by a column", "plot": "draw a line chart", "mean": "average of an array"}
    return [PseudoQuery(query_id=f"q-{doc_id}", text=text, doc_id=doc_id) for doc_id, text in texts.items() if doc_id]


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_the_loss_is_that_of_the_formula(corpus: list[Document], tiny_encoder: Path, kind: str) -> None:
    """With six documents every draw of sixteen negatives is all five others, so the loss can be had from the scores of a search."""
    shape = {"encoder": str(tiny_encoder), "layers": None, "dimensions": 16, "query_tokens": 8, "document_tokens": 12}
    model = build_retriever(kind, **shape, query_expansion=False, markers=False, seed=1, device="cpu")  # type: ignore[arg-type]
    temperature = 0.5
    found = QueryLoss(model, corpus, negatives=16, temperature=temperature, seed=3).losses(rows(corpus))
    texts = {document.doc_id: document.text for document in corpus}
    for row, loss in zip(rows(corpus), found, strict=True):
        scores = {item.doc_id: item.score / temperature for item in search(model, texts, {"q": row.text}, depth=6)}
        expected = math.log(sum(math.exp(score) for score in scores.values())) - scores[row.doc_id]
        assert loss == pytest.approx(expected, abs=1e-3)


def test_draws_are_seeded_and_leave_duplicates_out(tiny_encoder: Path) -> None:
    corpus = [Document(doc_id=f"d{i}", text=f"sort the rows {i}", group="g" if i < 3 else "") for i in range(40)]
    loss = QueryLoss(None, corpus, negatives=6, temperature=1.0, seed=1)
    row = PseudoQuery(query_id="q", text="sort", doc_id="d0")
    ranked = [f"d{i}" for i in range(40)]
    first, second = loss._draw(row, ranked, 0), loss._draw(row, ranked, 1)
    assert first == loss._draw(row, ranked, 0) != second
    assert len(set(first)) == 6
    assert not {"d0", "d1", "d2"} & {*first, *second}
    assert len([doc_id for doc_id in first if int(doc_id[1:]) >= 29]) >= 3  # from rank 30 on


@pytest.mark.parametrize(("kind", "count"), [("colbert", 5), ("dense", 1)])
def test_a_retriever_of_either_kind_is_saved_loaded_and_searched(tiny_encoder: Path, tmp_path: Path, kind: str, count: int) -> None:
    shape = {"encoder": str(tiny_encoder), "layers": 1, "dimensions": 16, "query_tokens": 8, "document_tokens": 12}
    model = build_retriever(kind, **shape, query_expansion=False, markers=False, seed=1, device="cpu")  # type: ignore[arg-type]
    save_retriever(model, tmp_path / "weights")
    again = load_retriever(tmp_path / "weights")
    documents = {"a": "sort the rows", "b": "draw a line"}
    expected, found = (search(own, documents, {"q": "draw a line"}, depth=2) for own in (model, again))
    assert [item.doc_id for item in found] == [item.doc_id for item in expected] == ["b", "a"]
    assert [item.score for item in found] == pytest.approx([item.score for item in expected], abs=1e-5)
    (own,) = vectors_of(again, ["sort the rows of a"], task="query")
    assert (own.norm(dim=-1) - 1).abs().max() < 1e-4
    assert len(own) >= count
    with pytest.raises(FileNotFoundError, match="stage train_retriever"):
        load_retriever(tmp_path / "none")


def test_distillation_by_hand() -> None:
    """KL: the teacher gives 3/4 and 1/4 (logits log 3 and 0), the student a half each: .75 log 1.5 + .25 log .5.

    Margins: the student's is 1, the teacher's log 3; the second row has no teacher and does not count.
    """
    nan = float("nan")
    taught = torch.tensor([[math.log(3), 0.0, nan], [nan, nan, nan]])
    scores = torch.tensor([[2.0, 2.0, 9.0], [1.0, 2.0, 3.0]], requires_grad=True)
    loss = distillation_loss(scores, taught, "kl")
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    loss.backward()
    assert scores.grad is not None
    assert scores.grad[0].tolist() == pytest.approx([0.5 - 0.75, 0.5 - 0.25, 0.0])
    assert scores.grad[1].tolist() == [0.0, 0.0, 0.0]
    scores = torch.tensor([[2.0, 1.0, 9.0], [1.0, 2.0, 3.0]])
    assert distillation_loss(scores, taught, "margin_mse").item() == pytest.approx((1 - math.log(3)) ** 2)
    assert distillation_loss(scores[1:], taught[1:], "kl").item() == 0


def test_mined_rows_are_screened_taught_and_merged_by_text(corpus: list[Document]) -> None:
    texts = [("Sort  rows", "sort"), ("sort rows", "join"), ("draw", "plot")]
    pairs = [LabelledPair(query_id=f"q{i}", text=text, doc_id=doc_id) for i, (text, doc_id) in enumerate(texts)]

    def run(queries: dict[str, tuple[str, str]]) -> list[ScoredDoc]:
        assert [text for text, _ in queries.values()] == ["Sort  rows", "draw"]
        return [ScoredDoc(key, document.doc_id, 10.0 - i) for key in queries for i, document in enumerate(corpus)]

    def judge(wanted: Sequence[tuple[str, str]]) -> list[float]:
        return [5.0 if document.startswith(("Find", "Draw")) else 0.0 for _, document in wanted]

    window = {"rank_start": 1, "rank_end": 9, "negatives_per_query": 9, "relative_margin": None, "seed": 1}
    mined, counts = mine_rows(pairs, corpus, run, judge=lambda: judge, screen=True, teach=True, **window)  # type: ignore[arg-type]
    first, second = mined
    assert (first.query, first.pos, first.pos_scores) == ("Sort  rows", ["join", "sort"], [0.0, 0.0])
    assert (first.neg, first.neg_scores) == (["mean", "parse"], [0.0, 0.0])  # solve and plot: above its own documents
    assert (second.pos_scores, len(second.neg)) == ([5.0], 5)
    assert counts["scorer"] == 2
    plain, _ = mine_rows(pairs, corpus, run, judge=lambda: pytest.fail("nobody is asked"), screen=False, teach=False, **window)  # type: ignore[arg-type]
    assert plain[0].neg_scores is None


def test_training_draws_mined_negatives_first_and_anew(corpus: list[Document]) -> None:
    texts = {document.doc_id: document.text for document in corpus}
    groups = {doc_id: i for i, doc_id in enumerate(texts)}
    mined = [RankingRow(query="Order rows", pos=["sort"], neg=["join", "mean", "sort"], pos_scores=[3.0], neg_scores=[1.0, 0.5, 9.0])]
    settings = {"rows": 30, "mined": mined, "seed": 1}
    two = build_training_set([("order  rows", "sort")], texts, groups, negatives=2, taught=True, **settings)  # type: ignore[arg-type]
    drawn = {tuple(label[2:4]) for label in two.columns["label"]}
    assert drawn == {(groups["join"], groups["mean"]), (groups["mean"], groups["join"])}
    for label in two.columns["label"]:
        assert label[4] == 3.0
        assert label[5:] == [{groups["join"]: 1.0, groups["mean"]: 0.5}[number] for number in label[2:4]]
    three = build_training_set([("order  rows", "sort")], texts, groups, negatives=3, taught=True, **settings)  # type: ignore[arg-type]
    assert all({groups["join"], groups["mean"]} < set(label[2:5]) and math.isnan(label[8]) for label in three.columns["label"])
    plain = build_training_set([("order  rows", "sort")], texts, groups, negatives=2, **settings)  # type: ignore[arg-type]
    assert {len(label) for label in plain.columns["label"]} == {4}


def test_a_teacher_is_followed(corpus: list[Document], tiny_encoder: Path, tmp_path: Path) -> None:
    """A teacher that puts another document above the labelled one turns the order, where the contrastive loss has no weight."""
    from tandem.retrievers.training import train_retriever

    texts = {document.doc_id: document.text for document in corpus}
    mined = [RankingRow(query="draw a line chart", pos=["plot"], neg=["mean"], pos_scores=[0.0], neg_scores=[4.0])]

    def gap(weight: float) -> float:
        later = count()
        model = colbert.build_colbert(str(tiny_encoder), dimensions=16, query_tokens=8, document_tokens=12, seed=1)
        distillation = {"distillation": "kl", "distillation_weight": 1.0 - weight, "contrastive_weight": weight, "teacher_temperature": 1.0}
        train_retriever(
            model,
            [("draw a line chart", "plot")],
            corpus,
            steps=30,
            batch_size=1,
            learning_rate=2e-3,
            warmup_ratio=0.0,
            temperature=1.0,
            negatives=1,
            evaluations=1,
            mined=mined,
            distillation=distillation,
            dev_score=lambda _: [float(next(later))],  # the last step is the best
            scratch=tmp_path / str(weight),
            bf16=False,
            seed=1,
        )
        scores = {item.doc_id: item.score for item in colbert.search(model, texts, {"q": "draw a line chart"}, depth=6)}
        return scores["plot"] - scores["mean"]

    assert gap(0.0) < -0.5 < 0.5 < gap(1.0)
