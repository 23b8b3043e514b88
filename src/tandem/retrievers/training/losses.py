"""The loss of both retrievers: contrastive, with false negatives left out, and a teacher's scores to learn from, a list a query.

``L = -mean_i log( exp(s(q_i, d_i)/t) / sum_{j not in F_i} exp(s(q_i, d_j)/t) )`` (InfoNCE), where ``F_i`` are the documents, other
than ``d_i`` itself, that are relevant to the text of ``q_i``, may be so by their fused score, or are duplicates of one that is.
Distillation is over the documents of a row that the teacher scored, those in ``F_i`` included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.scoring import colbert_scores as maxsim_scores
from sentence_transformers.util import stack_padded_token_embeddings
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tandem.settings import Coefficient, PositiveTemperature, Settings

__all__ = ["NO_TEACHER", "DistillationSettings", "Head", "MaskedContrastiveLoss", "distillation_loss", "false_negative_mask"]

Distillation = Literal["off", "kl", "margin_mse"]


class Head(NamedTuple):
    """One way in which a retriever scores a batch, of which a model of kind ``both`` has two.

    Args:
        score: gives ``(batch, batch * columns)`` scores of what the model makes of a batch, row-major: the documents of row i stand at
            ``i * columns``.
        temperature: that scores are divided by.
        weight: of its loss.
    """

    score: Callable[[Sequence[dict[str, Any]]], Tensor]
    temperature: float
    weight: float = 1.0


class DistillationSettings(Settings):
    """Learning from the scores that a teacher gave to a row's documents, beside the contrastive loss or in its place."""

    distillation: Distillation
    """off, kl or margin_mse; see :func:`distillation_loss`"""
    distillation_weight: Coefficient
    """of the distillation loss"""
    contrastive_weight: Coefficient
    """of InfoNCE; 0 learns from the teacher alone"""
    teacher_temperature: PositiveTemperature
    """that the teacher's scores are divided by: 1 for a judge's logits, about 0.15 for fused scores"""

    @property
    def taught(self) -> bool:
        """Whether there is a teacher to learn from."""
        return self.distillation != "off"


NO_TEACHER = DistillationSettings(distillation="off", distillation_weight=1.0, contrastive_weight=1.0, teacher_temperature=1.0)


class MaskedContrastiveLoss(nn.Module):
    """InfoNCE over the columns (query, positive, negative...) of a sentence-transformers batch.

    Args:
        model: the retriever that is trained.
        heads: how it scores; their losses are added up by weight.
        relevant: for each query number the groups of documents that are or may be relevant.
        teacher: whether and how the loss learns from a teacher's scores.

    The labels of a batch, ``(batch, 1 + columns)``, give each row's query number and its documents' groups; with distillation the
    teacher's scores follow, ``(batch, 1 + 2 * columns)``.
    """

    def __init__(
        self,
        model: nn.Module,
        heads: Sequence[Head],
        *,
        relevant: Mapping[int, set[int]],
        teacher: DistillationSettings = NO_TEACHER,
    ) -> None:
        super().__init__()
        self.teacher = teacher
        self.model = model
        self.heads = tuple(heads)
        self.relevant = relevant

    def forward(self, features: Sequence[dict[str, Any]], labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        outputs = encode_columns(self.model, features)
        columns = (labels.shape[1] - 1) // (2 if self.teacher.taught else 1)
        numbers = labels[:, : 1 + columns].long().tolist()
        mask = false_negative_mask([row[0] for row in numbers], [row[1:] for row in numbers], self.relevant)
        taught = labels[:, 1 + columns :]
        losses = [head.weight * self._loss(head.score(outputs) * (1 / head.temperature), mask, taught) for head in self.heads]
        return torch.stack(losses).sum()

    def _loss(self, scores: Tensor, mask: Tensor, taught: Tensor) -> Tensor:
        """Of scores by one head, ``(batch, batch * columns)``, divided by its temperature."""
        teacher, columns = self.teacher, scores.shape[1] // len(scores)
        target = torch.arange(len(scores), device=scores.device) * columns
        masked = scores.masked_fill(mask.to(scores.device), float("-inf"))
        loss = teacher.contrastive_weight * cross_entropy(masked.float(), target)
        if not teacher.taught:
            return loss
        row_scores = scores.float().gather(1, target[:, None] + torch.arange(columns, device=scores.device))
        logits = taught.to(row_scores) / teacher.teacher_temperature
        return loss + teacher.distillation_weight * distillation_loss(row_scores, logits, teacher.distillation)


def distillation_loss(scores: Tensor, taught: Tensor, kind: Distillation) -> Tensor:
    """How far a student's scores of a row's documents are from a teacher's, a scalar.

    ``kl`` is ``KL(softmax(taught) || softmax(scores))`` over the documents that the teacher scored (Santhanam et al. 2022, eq. 1);
    ``margin_mse`` is the squared difference of both margins ``s(q, d+) - s(q, d-)`` (Hofstätter et al. 2020, eq. 4). Rows in which the
    teacher scored no positive or no negative do not count.

    Args:
        scores: of the student, (rows, documents), the positive first.
        taught: of the teacher, likewise; NaN where there is none.
        kind: ``kl`` or ``margin_mse``.
    """
    known = ~taught.isnan()
    rows = known[:, 0] & known[:, 1:].any(1)
    if not rows.any():
        return scores.sum() * 0.0
    scores, taught, known = scores[rows], taught[rows], known[rows]
    if kind == "margin_mse":
        difference = (scores[:, :1] - scores[:, 1:]) - (taught[:, :1] - taught[:, 1:])
        return difference[known[:, 1:]].square().mean()
    student = scores.masked_fill(~known, float("-inf")).log_softmax(-1)
    teacher = taught.masked_fill(~known, float("-inf")).log_softmax(-1)
    return (teacher.exp() * (teacher - student).masked_fill(~known, 0.0)).sum(-1).mean()


def false_negative_mask(
    queries: Sequence[int], documents: Sequence[Sequence[int]], relevant: Mapping[int, set[int]], *, start: int = 0
) -> Tensor:
    """Which of a batch's documents are not to count against which query.

    Args:
        queries: the query number of each row.
        documents: the group of each row's documents, the positive first; there may be more rows of them than of queries.
        relevant: groups known to be relevant, by query number.
        start: the place of the first query's row among those of documents.

    Returns:
        ``(queries, rows * columns)``, true where a document other than the row's positive is relevant to its query.
    """
    columns = len(documents[0])
    flat = [group for row in documents for group in row]
    mask = torch.tensor([[group in relevant[query] for group in flat] for query in queries])
    for row in range(len(queries)):
        mask[row, (start + row) * columns] = False
    return mask


def encode_columns(model: nn.Module, features: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a model makes of the columns of a batch, queries first; a ColBERT is told which is which."""
    outputs = []
    for i, column in enumerate(features):
        told = (
            {"task": column.get("task", "document" if i else "query")} if "task" in column or isinstance(model, MultiVectorEncoder) else {}
        )
        outputs.append(model(dict(column), **told))
    return outputs


def dense_scores(outputs: Sequence[dict[str, Any]]) -> Tensor:
    """Cosine similarities of a batch's queries with all its documents, row-major."""
    vectors = [nn.functional.normalize(output["sentence_embedding"].float(), dim=-1) for output in outputs]
    documents = torch.stack(vectors[1:], dim=1).flatten(0, 1)
    return vectors[0] @ documents.T


def colbert_scores(outputs: Sequence[dict[str, Any]]) -> Tensor:
    """MaxSim of a batch's queries with all its documents, row-major."""
    documents, mask = stack_padded_token_embeddings(
        [output["token_embeddings"] for output in outputs[1:]],
        [output["attention_mask"].bool() for output in outputs[1:]],
    )
    queries = outputs[0]
    scores: Tensor = maxsim_scores(
        queries["token_embeddings"], documents, queries_mask=queries["attention_mask"].bool(), documents_mask=mask
    )
    return scores
