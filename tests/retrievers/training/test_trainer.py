"""Training of both kinds of retriever: what is learnt, which checkpoint stays, what a kill costs."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import compute_in, contrastive_settings, retriever_settings

from tandem.records import Document, LabelledPair, MinedRow
from tandem.retrievers import colbert
from tandem.retrievers.dense import load_dense
from tandem.retrievers.retriever import build_retriever
from tandem.retrievers.training.losses import DistillationSettings
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import train_retriever


@pytest.fixture
def late(tiny_encoder: Path) -> Any:
    return colbert.build_colbert(retriever_settings(tiny_encoder), seed=1)


def fit(
    model: Any, corpus: list[Document], pairs: list[LabelledPair], scratch: Path, *, dev_score: Any = lambda _: [0.0], **changes: Any
) -> Any:
    data = TrainingData([(pair.text, pair.doc_id) for pair in pairs], corpus)
    compute = compute_in(scratch)
    return train_retriever(model, data, contrastive_settings(**changes), evaluations=2, dev_score=dev_score, compute=compute)


@pytest.mark.parametrize("kind", ["late", "dense"])
def test_training_learns(
    kind: str, late: Any, tiny_encoder: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path
) -> None:
    model = late if kind == "late" else load_dense(str(tiny_encoder))
    trained = fit(model, corpus, pairs, tmp_path, temperature=1.0 if kind == "late" else 0.05, dev_score=rising())
    assert trained.loss[-1][1] < trained.loss[0][1] * 0.7
    assert [step for step, _ in trained.dev] == [0, 15, 30]
    assert trained.best_step == 30


def rising() -> Any:
    """A dev score that is higher each time it is taken."""
    values = iter(range(100))
    return lambda _: [float(next(values))]


def test_a_dip_within_the_error_of_the_best_keeps_what_was_learnt(
    late: Any, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path
) -> None:
    """Dev means .5, .7, .6 with a standard error of .35: the last checkpoint, not the luckiest."""
    spread = iter([[0.15, 0.85], [0.35, 1.05], [0.25, 0.95]])
    states: list[Any] = []

    def score(model: Any) -> list[float]:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(spread)

    trained = fit(late, corpus, pairs, tmp_path, dev_score=score)
    assert trained.best_step == trained.dev[-1][0]
    assert [round(mean, 6) for _, mean in trained.dev] == [0.5, 0.7, 0.6]
    for name, value in late.state_dict().items():
        torch.testing.assert_close(value, states[-1][name], rtol=0, atol=0)


def test_the_best_checkpoint_stays_step_0_included(late: Any, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in late.state_dict().items()}
    falling = iter([0.9, 0.5, 0.1])
    trained = fit(late, corpus, pairs, tmp_path, dev_score=lambda _: [next(falling)])
    assert trained.best_step == 0
    for name, value in late.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_with_no_pair_the_retriever_stays_zero_shot(late: Any, corpus: list[Document], tmp_path: Path) -> None:
    trained = fit(late, corpus, [], tmp_path)
    assert trained.loss == []
    assert trained.best_step == 0


def test_resumed_equals_uninterrupted(tiny_encoder: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    def build() -> Any:
        return colbert.build_colbert(retriever_settings(tiny_encoder), seed=1)

    whole = build()
    fit(whole, corpus, pairs, tmp_path / "a", dev_score=rising())
    calls = iter([0.0, 1.0])

    def killed(_: Any) -> list[float]:
        return [next(calls)]  # a third call, at step 30, raises: the run dies after its checkpoint at step 15

    with pytest.raises(StopIteration):
        fit(build(), corpus, pairs, tmp_path / "b", dev_score=killed)
    assert [path.name for path in (tmp_path / "b" / "checkpoints").glob("checkpoint-*")] == ["checkpoint-15"]
    resumed = build()
    later = iter([0.0, 2.0])
    trained = fit(resumed, corpus, pairs, tmp_path / "b", dev_score=lambda _: [next(later)])
    assert trained.best_step == 30
    for (name, left), right in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0, msg=name)


def test_a_teacher_is_followed(corpus: list[Document], tiny_encoder: Path, tmp_path: Path) -> None:
    """A teacher that puts another document above the labelled one turns the order, where the contrastive loss has no weight."""
    texts = {document.doc_id: document.text for document in corpus}
    mined = [MinedRow(query="draw a line chart", pos=["plot"], neg=["mean"], pos_scores=[0.0], neg_scores=[4.0])]

    def gap(weight: float) -> float:
        later = count()
        model = build_retriever(retriever_settings(tiny_encoder), seed=1, device="cpu")
        train_retriever(
            model,
            TrainingData([("draw a line chart", "plot")], corpus, mined),
            contrastive_settings(batch_size=1, learning_rate=2e-3, warmup_ratio=0.0),
            evaluations=1,
            dev_score=lambda _: [float(next(later))],  # the last step is the best
            compute=compute_in(tmp_path / str(weight)),
            teacher=DistillationSettings(
                distillation="kl", distillation_weight=1.0 - weight, contrastive_weight=weight, teacher_temperature=1.0
            ),
        )
        scores = {item.doc_id: item.score for item in colbert.search(model, texts, {"q": "draw a line chart"}, depth=6)}
        return scores["plot"] - scores["mean"]

    assert gap(0.0) < -0.5 < 0.5 < gap(1.0)
