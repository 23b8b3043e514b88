"""The contrastive loss of both retrievers: in-batch and sampled negatives, known false negatives left out.

``L = -mean_i log( exp(s(q_i, d_i)/t) / sum_{j not in F_i} exp(s(q_i, d_j)/t) )`` (InfoNCE), where ``F_i`` are the documents, other
than ``d_i`` itself, that are known to be relevant to the text of ``q_i`` or are duplicates of one that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

__all__ = ["MaskedContrastiveLoss", "false_negative_mask"]

Scorer = Callable[[Any, list[dict[str, Any]]], Tensor]


class MaskedContrastiveLoss(nn.Module):
    """InfoNCE over the columns (query, positive, negative...) of a sentence-transformers batch.

    Args:
        model: the retriever that is trained.
        score: gives ``(batch, batch * columns)`` scores for a batch's features, row-major: query i's own documents stand at
            ``i * columns``.
        scale: one over the temperature.
        relevant: for each query number the groups of documents known to be relevant.

    The labels of a batch, ``(batch, 1 + columns)`` integers, give each row's query number and its documents' groups.
    """

    def __init__(self, model: nn.Module, *, score: Scorer, scale: float, relevant: Mapping[int, set[int]]) -> None:
        super().__init__()
        self.model = model
        self.score = score
        self.scale = scale
        self.relevant = relevant

    def forward(self, features: Sequence[dict[str, Any]], labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        scores = self.score(self.model, [dict(column) for column in features]) * self.scale
        numbers = labels.tolist()
        columns = len(numbers[0]) - 1
        mask = false_negative_mask([row[0] for row in numbers], [row[1:] for row in numbers], self.relevant)
        scores = scores.masked_fill(mask.to(scores.device), float("-inf"))
        target = torch.arange(len(numbers), device=scores.device) * columns
        return cross_entropy(scores.float(), target)


def false_negative_mask(queries: Sequence[int], documents: Sequence[Sequence[int]], relevant: Mapping[int, set[int]]) -> Tensor:
    """Which of a batch's documents are not to count against which query.

    Args:
        queries: the query number of each row.
        documents: the group of each row's documents, the positive first.
        relevant: groups known to be relevant, by query number.

    Returns:
        ``(rows, rows * columns)``, true where a document other than the row's own positive is relevant to its query.
    """
    columns = len(documents[0])
    flat = [group for row in documents for group in row]
    mask = torch.tensor([[group in relevant[query] for group in flat] for query in queries])
    for row in range(len(queries)):
        mask[row, row * columns] = False
    return mask


def dense_scores(model: Any, features: list[dict[str, Any]]) -> Tensor:
    """Cosine similarities of a batch's queries with all its documents, row-major."""
    vectors = [nn.functional.normalize(model(column)["sentence_embedding"].float(), dim=-1) for column in features]
    documents = torch.stack(vectors[1:], dim=1).flatten(0, 1)
    return vectors[0] @ documents.T


def colbert_scores(model: Any, features: list[dict[str, Any]]) -> Tensor:
    """MaxSim of a batch's queries with all its documents, row-major."""
    from sentence_transformers.multi_vector_encoder.scoring import colbert_scores as maxsim_scores
    from sentence_transformers.util import stack_padded_token_embeddings

    outputs = [model(column, task=column.get("task", "document" if i else "query")) for i, column in enumerate(features)]
    documents, mask = stack_padded_token_embeddings(
        [output["token_embeddings"] for output in outputs[1:]],
        [output["attention_mask"].bool() for output in outputs[1:]],
    )
    queries = outputs[0]
    return maxsim_scores(queries["token_embeddings"], documents, queries_mask=queries["attention_mask"].bool(), documents_mask=mask)
