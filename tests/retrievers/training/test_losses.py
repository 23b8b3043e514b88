"""The losses of retrievers by hand: masked contrastive, distillation; scores of training equal those of search."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import retriever_settings

from tandem.records import Document, LabelledPair
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.training.losses import (
    DistillationSettings,
    Head,
    MaskedContrastiveLoss,
    colbert_scores,
    dense_scores,
    distillation_loss,
    encode_columns,
    false_negative_mask,
)


def test_false_negatives_are_masked_by_text_and_group() -> None:
    """Rows: query 0 with documents (5, 7), query 0 again with (6, 5), query 1 with (7, 6). Relevant: 0: {5, 6}, 1: {7}.

    Row 0 may not be pushed away from 6 (another positive of its text) nor from the second 5; its own positive stays.
    """
    mask = false_negative_mask([0, 0, 1], [[5, 7], [6, 5], [7, 6]], {0: {5, 6}, 1: {7}})
    assert mask.tolist() == [
        [False, False, True, True, False, True],
        [True, False, False, True, False, True],
        [False, True, False, False, False, False],
    ]


def test_queries_of_one_process_meet_the_documents_of_all() -> None:
    """The second of two processes, with one row each: its own positive is the third document."""
    assert false_negative_mask([1], [[5, 7], [7, 6]], {1: {7, 5}}, start=1).tolist() == [[True, True, False, False]]


class _Rows(torch.nn.Module):
    """Gives each text the vector that it is."""

    def forward(self, column: dict[str, Any]) -> dict[str, Any]:
        return {"sentence_embedding": column["vectors"]}


def test_loss_by_hand() -> None:
    """Two queries e1, e2 with positives e1, e2, temperature 1: each row is (1, 0), loss log(1 + e^-1). With the other masked it is 0."""
    eye = torch.eye(2)
    columns = [{"vectors": eye}, {"vectors": eye}]
    plain = MaskedContrastiveLoss(_Rows(), [Head(dense_scores, 1.0)], relevant={0: {0}, 1: {1}})
    labels = torch.tensor([[0, 0], [1, 1]])
    assert plain(columns, labels).item() == pytest.approx(np.log1p(np.exp(-1)), abs=1e-6)
    masked = MaskedContrastiveLoss(_Rows(), [Head(dense_scores, 1.0)], relevant={0: {0, 1}, 1: {0, 1}})
    assert masked(columns, labels).item() == pytest.approx(0.0, abs=1e-6)


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


def test_listwise_contrastive_and_both_by_hand() -> None:
    """One row: cosines 1, 1 and 0, of which the second document is masked, and fused scores .3, .15 and 0 at a temperature of .15.

    Contrastive, over the first and the third: log(1 + e^-1). Listwise, over all: the teacher's logits are 2, 1 and 0, the student's 1, 1
    and 0, so KL is sum_i p_i (t_i - s_i) - log Z_t + log Z_s with p = (e^2, e, 1) / Z_t.
    """
    eye = torch.eye(2)
    columns = [{"vectors": vectors} for vectors in (eye[:1], eye[:1], eye[:1], eye[1:])]
    labels = torch.tensor([[0, 5, 6, 7, 0.3, 0.15, 0.0]])
    contrastive = math.log1p(math.exp(-1))
    z_teacher, z_student = math.exp(2) + math.exp(1) + 1, 2 * math.exp(1) + 1
    listwise = math.exp(2) / z_teacher - math.log(z_teacher) + math.log(z_student)

    def loss(distillation: float, weight: float) -> float:
        teacher = DistillationSettings(
            distillation="kl", distillation_weight=distillation, contrastive_weight=weight, teacher_temperature=0.15
        )
        module = MaskedContrastiveLoss(_Rows(), [Head(dense_scores, 1.0)], relevant={0: {5, 6}}, teacher=teacher)
        return float(module(columns, labels))

    assert loss(0.0, 1.0) == pytest.approx(contrastive, abs=1e-6)
    assert loss(1.0, 0.0) == pytest.approx(listwise, abs=1e-6)
    assert loss(1.0, 0.1) == pytest.approx(listwise + 0.1 * contrastive, abs=1e-6)


def test_two_heads_are_added_by_weight() -> None:
    """Cosines of e1, e2 with themselves at temperatures 1 and .5: log(1 + e^-1) + .3 log(1 + e^-2)."""
    eye = torch.eye(2)
    both = MaskedContrastiveLoss(_Rows(), [Head(dense_scores, 1.0), Head(dense_scores, 0.5, 0.3)], relevant={0: {0}, 1: {1}})
    loss = both([{"vectors": eye}, {"vectors": eye}], torch.tensor([[0, 0], [1, 1]]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-1)) + 0.3 * math.log1p(math.exp(-2)), abs=1e-6)


@pytest.mark.parity
def test_training_scores_equal_search_scores(tiny_encoder: Path, corpus: list[Document], pairs: list[LabelledPair]) -> None:
    """MaxSim with padding, as training computes it, equals MaxSim without."""
    late = build_colbert(retriever_settings(tiny_encoder), seed=1)
    q, d = [pair.text for pair in pairs[:3]], [document.text for document in corpus[:3]]
    features = [
        {**late.preprocess(q, task="query"), "task": "query"},
        {**late.preprocess(d, task="document"), "task": "document"},
    ]
    with torch.no_grad():
        scores = colbert_scores(encode_columns(late.eval(), features))
    expected = [[naive_maxsim(late, a, b) for b in d] for a in q]
    torch.testing.assert_close(scores, torch.tensor(expected), atol=1e-4, rtol=0)


def naive_maxsim(model: Any, query: str, document: str) -> float:
    """Sum over query tokens of the best dot product with a document token, one pair at a time."""
    q, d = model.encode_query([query])[0].numpy(), model.encode_document([document])[0].numpy()
    return float(np.sum(np.max(q @ d.T, axis=1)))
