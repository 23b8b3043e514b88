"""The loss of a batch of tasks: weights, temperatures, masks, each against the formula with everything written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from makers import task_training_settings
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from tandem.retrievers.training.losses import Head, MaskedContrastiveLoss, dense_scores
from tandem.retrievers.training.task_loss import TaskLoss
from tandem.retrievers.training.task_set import PADDING, TaskSet

NAN = float("nan")


class _Vectors(torch.nn.Module):
    """Gives each text the vector that it is."""

    def forward(self, column: dict[str, Any]) -> dict[str, Any]:
        return {"sentence_embedding": column["vectors"]}


def vectors(rows: int = 4, columns: int = 4, seed: int = 1) -> list[dict[str, Tensor]]:
    torch.manual_seed(seed)
    return [{"vectors": torch.randn(rows, 5).requires_grad_()} for _ in range(columns)]


def task_set(groups: list[list[int]], scores: list[list[float]] | None = None, **values: Any) -> TaskSet:
    """Rows of different queries, each of which its first key is relevant to."""
    rows = len(groups)
    given: dict[str, Any] = {
        "tasks": ["qa"] * rows,
        "queries": list(range(rows)),
        "relevant": {i: {row[0]} for i, row in enumerate(groups)},
    }
    return TaskSet(columns={}, groups=groups, scores=scores or [[NAN] * len(groups[0])] * rows, **{**given, **values})


def loss_of(rows: TaskSet, features: list[dict[str, Tensor]], *, similarity: Any = "dot", **changes: Any) -> Tensor:
    settings = task_training_settings(**{"temperature": 1.0, **changes})
    objectives = {task: settings.of(task) for task in rows.tasks}
    module = TaskLoss(_Vectors(), rows, objectives, similarity=similarity, cross_process=settings.cross_process_negatives)
    loss: Tensor = module(features, torch.arange(len(rows.tasks)))
    return loss


GROUPS = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
TEACHER = [[1.0, 2.0, 0.0], [3.0, -1.0, 0.5], [0.1, 0.2, 0.3], [2.0, 2.0, -2.0]]


def scores_of(features: list[dict[str, Tensor]], *, cosine: bool = False) -> Tensor:
    """Similarities of queries with keys, (queries, rows, keys of a row)."""
    queries, *keys = ((normalize(c["vectors"], dim=-1) if cosine else c["vectors"]) for c in features)
    return torch.einsum("bd,rkd->brk", queries, torch.stack(keys, 1))


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_contrastive_over_all_keys(cosine: bool, temperature: float) -> None:
    """InfoNCE over every row's keys; the temperature divides the dot product as it does the cosine."""
    features = vectors()
    expected = cross_entropy(scores_of(features, cosine=cosine).flatten(1) / temperature, torch.arange(4) * 3)
    loss = loss_of(task_set(GROUPS), features, similarity="cosine" if cosine else "dot", temperature=temperature)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parity
def test_contrastive_is_that_of_rounds() -> None:
    """The same number as :class:`MaskedContrastiveLoss` with cosines, false negatives and all."""
    groups, relevant = [[0, 1, 3], [3, 4, 5], [6, 0, 8], [9, 10, 6]], {0: {0, 4}, 1: {3}, 2: {6, 9}, 3: {9}}
    features = vectors()
    labels = torch.tensor([[i, *row] for i, row in enumerate(groups)])
    other = MaskedContrastiveLoss(_Vectors(), [Head(dense_scores, 0.3)], relevant=relevant)(features, labels)
    loss = loss_of(task_set(groups, relevant=relevant), features, similarity="cosine", temperature=0.3)
    torch.testing.assert_close(loss, other)
    assert abs(loss - loss_of(task_set(groups), features, similarity="cosine", temperature=0.3)) > 1e-3


def test_kl_is_over_a_rows_own_keys_with_both_temperatures() -> None:
    """``KL(softmax(t / T_teacher) || softmax(s / temperature / T_student))``, written out."""
    features = vectors()
    own = scores_of(features)[torch.arange(4), torch.arange(4)] / 0.5 / 3.0
    teacher = (torch.tensor(TEACHER) / 0.2).softmax(-1)
    expected = (teacher * (teacher.log() - own.log_softmax(-1))).sum(-1).mean()
    changes: dict[str, Any] = {"temperature": 0.5, "student_temperature": 3.0, "teacher_temperature": 0.2, "distillation": "kl"}
    torch.testing.assert_close(loss_of(task_set(GROUPS, TEACHER), features, contrastive_weight=0.0, **changes), expected)


@pytest.mark.parametrize("kind", ["graded", "graded_uniform"])
def test_graded_is_one_cross_entropy_a_rank(kind: str) -> None:
    """Written out over lists: own keys by the teacher's order, ranks before left out, and every other row's keys but relevant ones."""
    features = vectors()
    relevant = {0: {0, 7}, 1: {3}, 2: {6}, 3: {9}}  # key 7, of the third row, is relevant to the first query
    scores = scores_of(features) / 0.5 / 2.0
    expected = torch.zeros(())
    for row in range(4):
        order = sorted(range(3), key=lambda i: -TEACHER[row][i])
        weights = (torch.tensor([TEACHER[row][i] for i in order]) / 0.7).softmax(-1) if kind == "graded" else [1 / 3] * 3
        others = [scores[row, r, k] for r in range(4) for k in range(3) if r != row and GROUPS[r][k] not in relevant[row]]
        for rank, weight in enumerate(weights):
            keys = [*(scores[row, row, i] for i in order[rank:]), *others]
            expected = expected - weight * torch.stack(keys).log_softmax(0)[0] / 4
    changes: dict[str, Any] = {"temperature": 0.5, "student_temperature": 2.0, "teacher_temperature": 0.7, "distillation": kind}
    loss = loss_of(task_set(GROUPS, TEACHER, relevant=relevant), features, contrastive_weight=0.0, **changes)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("kind", ["kl", "graded", "graded_uniform"])
def test_weights_count_whichever_losses_there_are(kind: str) -> None:
    """One loss alone is weighted as it is beside the other."""

    def loss(contrastive: float, distillation: float) -> float:
        changes: dict[str, Any] = {"contrastive_weight": contrastive, "distillation_weight": distillation, "distillation": kind}
        return loss_of(task_set(GROUPS, TEACHER), vectors(), **changes).item()

    assert loss(0.2, 0.0) == pytest.approx(0.2 * loss(1.0, 0.0))
    assert loss(0.0, 0.3) == pytest.approx(0.3 * loss(0.0, 1.0))
    assert loss(0.2, 0.3) == pytest.approx(0.2 * loss(1.0, 0.0) + 0.3 * loss(0.0, 1.0))
    assert abs(loss(1.0, 0.0) - loss(0.0, 1.0)) > 1e-2
    off = loss_of(task_set(GROUPS), vectors(), contrastive_weight=0.2, distillation="off", distillation_weight=1.0)
    assert off.item() == pytest.approx(0.2 * loss(1.0, 0.0))


@pytest.mark.parametrize("kind", ["off", "kl", "graded", "graded_uniform"])
def test_places_without_a_key_change_nothing(kind: str) -> None:
    """Two keys a row in four places, the others repeating the positive: the loss and the gradients of two places."""
    groups, scores = [row[:2] for row in GROUPS], [row[:2] for row in TEACHER]
    narrow = vectors(columns=3)
    wide = [{"vectors": column["vectors"].detach().clone().requires_grad_()} for column in narrow]
    padding = [{"vectors": wide[1]["vectors"].detach().clone().requires_grad_()} for _ in range(2)]
    padded = task_set([[*row, PADDING, PADDING] for row in groups], [[*row, NAN, NAN] for row in scores])
    changes: dict[str, Any] = {"contrastive_weight": 0.5, "distillation": kind}
    expected, loss = loss_of(task_set(groups, scores), narrow, **changes), loss_of(padded, [*wide, *padding], **changes)
    torch.testing.assert_close(loss, expected)
    expected.backward()
    loss.backward()
    for left, right in zip(wide, narrow, strict=True):
        torch.testing.assert_close(left["vectors"].grad, right["vectors"].grad)
    assert all(column["vectors"].grad is None or column["vectors"].grad.abs().max() == 0 for column in padding)


@pytest.mark.parametrize("kind", ["off", "graded", "graded_uniform"])
def test_a_passage_of_two_queries_is_no_negative_of_either(kind: str) -> None:
    """Rows 0 and 1 have one positive, and row 2 has it as a negative: what the first query learns does not depend on either copy."""
    rows = task_set([[0, 1, 2], [0, 4, 5], [6, 0, 8], [9, 10, 11]], TEACHER)

    def gradient(column: int, row: int) -> Tensor:
        """Of the first query, which its own row's loss alone reads, with one key turned round."""
        features = vectors()
        with torch.no_grad():
            features[1 + column]["vectors"][row] *= -1
        loss_of(rows, features, contrastive_weight=float(kind == "off"), distillation=kind).backward()
        assert features[0]["vectors"].grad is not None
        return features[0]["vectors"].grad[0]

    torch.testing.assert_close(gradient(0, 1), gradient(1, 2), atol=0, rtol=0)
    assert (gradient(0, 1) - gradient(1, 1)).abs().max() > 1e-4


def test_tasks_of_a_mixed_batch_have_their_own_losses() -> None:
    """Rows of two tasks by turns: the mean of each row's loss, whose keys of other tasks are negatives all the same."""
    tasks = ["qa", "chat", "qa", "chat"]
    mixed = task_set(GROUPS, TEACHER, tasks=tasks)
    chat = {"contrastive_weight": 0.0, "distillation": "graded", "temperature": 2.0}
    both = loss_of(mixed, vectors(), overrides={"chat": chat})
    total = 0.0
    for row, task in enumerate(tasks):
        scores = scores_of(vectors())[row].flatten() / (2.0 if task == "chat" else 1.0)
        ranks = sorted(range(3), key=lambda i: -TEACHER[row][i]) if task == "chat" else [0]
        weights = (torch.tensor([TEACHER[row][i] for i in ranks])).softmax(-1)
        left = [i for i in range(12) if i // 3 != row]
        for rank, weight in enumerate(weights):
            keys = torch.stack([scores[i] for i in (*(3 * row + k for k in ranks[rank:]), *left)])
            keys = scores[[3 * row, *(i for i in range(12) if i != 3 * row)]] if task == "qa" else keys
            total -= (weight * keys.log_softmax(0)[0]).item() / 4
    assert both.item() == pytest.approx(total)


def test_half_precision_vectors_are_compared_in_float32() -> None:
    """At a temperature of .01 a cosine of eight bits would be off by a third of a logit."""
    features = [{"vectors": column["vectors"].detach().bfloat16().requires_grad_()} for column in vectors()]
    exact = [{"vectors": column["vectors"].detach().float()} for column in features]
    changes: dict[str, Any] = {"temperature": 0.01, "distillation": "graded", "contrastive_weight": 0.2}
    loss = loss_of(task_set(GROUPS, TEACHER), features, similarity="cosine", **changes)
    torch.testing.assert_close(loss, loss_of(task_set(GROUPS, TEACHER), exact, similarity="cosine", **changes))
    loss.backward()
    assert all(column["vectors"].grad is not None and column["vectors"].grad.isfinite().all() for column in features)
