"""The loss of a retriever of several tasks: contrastive over all keys of a batch, and a teacher's scores, weighted as each task says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from tandem.retrievers.task_encoder import Similarity
from tandem.retrievers.training.graded import GradedWeights, graded_loss
from tandem.retrievers.training.losses import distillation_loss, false_negative_mask
from tandem.retrievers.training.task_set import PADDING, TaskSet
from tandem.retrievers.training.task_settings import TaskObjective
from tandem.runtime.distributed import gather_rows, process_rank

__all__ = ["TaskLoss", "task_loss"]

GRADED: Mapping[str, GradedWeights] = {"graded": "teacher", "graded_uniform": "uniform"}


class TaskLoss(nn.Module):
    """The mean over a batch's rows of ``contrastive_weight * L_c + distillation_weight * L_d``, as each row's task has them.

    Args:
        model: the encoder that is trained.
        rows: the training set.
        objectives: what is learnt, by task.
        similarity: cosine, or the dot product of the model's vectors; both are divided by the temperature.
        cross_process: keys of all processes are in the denominators, and have their gradients from there.
    """

    def __init__(
        self, model: nn.Module, rows: TaskSet, objectives: Mapping[str, TaskObjective], *, similarity: Similarity, cross_process: bool
    ) -> None:
        super().__init__()
        self.model = model
        self.rows = rows
        self.objectives = objectives
        self.similarity = similarity
        self.cross_process = cross_process

    def forward(self, features: Sequence[dict[str, Any]], labels: Tensor) -> Tensor:
        """The mean loss of a batch of this process, a scalar; labels are the rows' numbers."""
        queries, *columns = (self._encode(column) for column in features)
        keys, places = torch.stack(columns, dim=1), labels.flatten()
        count, width = keys.shape[:2]
        start = 0
        if self.cross_process:
            keys, places, start = gather_rows(keys), gather_rows(places), process_rank() * count
        scores = queries @ keys.flatten(0, 1).T
        everyone = places.tolist()
        mine = everyone[start : start + count]
        target = (start + torch.arange(count, device=scores.device)) * width
        masked = self._mask(mine, everyone, start).to(scores.device)
        tasks = [self.rows.tasks[number] for number in mine]
        total = scores.new_zeros(())
        for task in dict.fromkeys(tasks):
            chosen = torch.tensor([i for i, name in enumerate(tasks) if name == task], device=scores.device)
            taught = torch.tensor([self.rows.scores[number] for number, name in zip(mine, tasks, strict=True) if name == task])
            loss = task_loss(scores[chosen], masked[chosen], target[chosen], taught.to(scores.device), self.objectives[task])
            total = total + loss * (len(chosen) / count)
        return total

    def _encode(self, column: Mapping[str, Any]) -> Tensor:
        """Vectors in float32, of length one where the similarity is the cosine."""
        vectors: Tensor = self.model(dict(column))["sentence_embedding"].float()
        return normalize(vectors, dim=-1) if self.similarity == "cosine" else vectors

    def _mask(self, mine: Sequence[int], everyone: Sequence[int], start: int) -> Tensor:
        """Which key is not to count against which query: relevant ones and places without a key, (rows, keys of all rows)."""
        queries, groups = [self.rows.queries[number] for number in mine], [self.rows.groups[number] for number in everyone]
        padded = torch.tensor([group == PADDING for row in groups for group in row])
        return false_negative_mask(queries, groups, self.rows.relevant, start=start) | padded


def task_loss(scores: Tensor, masked: Tensor, target: Tensor, taught: Tensor, objective: TaskObjective) -> Tensor:
    """The mean loss of rows of one task, a scalar.

    Args:
        scores: similarities, (rows, keys of all rows).
        masked: of the same shape, true where a key does not count.
        target: the place of each row's positive, which its other keys follow.
        taught: the teacher's scores of each row's keys, (rows, keys of a row); NaN where there is none.
        objective: of the task.
    """
    logits = scores / objective.temperature
    loss = logits.new_zeros(())
    if objective.contrastive_weight:
        loss = loss + objective.contrastive_weight * cross_entropy(logits.masked_fill(masked, float("-inf")), target)
    if not objective.taught:
        return loss
    logits, taught = logits / objective.student_temperature, taught / objective.teacher_temperature
    places = target[:, None] + torch.arange(taught.shape[1], device=scores.device)
    row_scores = logits.gather(1, places)
    if objective.distillation == "kl":
        distilled = distillation_loss(row_scores, taught, "kl")
    else:
        others = logits.masked_fill(masked.scatter(1, places, value=True), float("-inf"))
        distilled = graded_loss(row_scores, taught, others, weights=GRADED[objective.distillation])
    return loss + objective.distillation_weight * distilled
