"""Training of tasks in this process or in one of several: what `test_distributed` compares between one process and two."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from conftest import QUERIES, TEXTS
from makers import compute_in, task_encoder_settings, task_training_settings

from tandem.records import TaskRow
from tandem.retrievers.task_encoder import build_task_encoder, similarity_of
from tandem.retrievers.training.task_loss import TaskLoss
from tandem.retrievers.training.task_rows import select_rows
from tandem.retrievers.training.task_set import build_task_set
from tandem.retrievers.training.tasks import train_task_retriever
from tandem.runtime.distributed import all_reduce_mean, average_gradients, init_processes, is_main_process, process_rank, world_size

ROWS = 4  # of a step, over all processes


def rows_of(task: str) -> list[TaskRow]:
    """Six queries that share a positive in pairs, so that there is a false negative in most batches, also between processes."""
    names, texts = list(TEXTS), list(TEXTS.values())
    rows = []
    for i, query in enumerate(QUERIES.values()):
        positive = i // 2
        neg = [texts[j] for j in range(len(names)) if j != positive]
        scores = [0.5, *((j * 7 + i) % 5 - 2.0 for j in range(len(neg)))]
        rows.append(TaskRow(query_id=str(i), task=task, query=query, pos=[texts[positive]], neg=neg, teacher_scores=scores))
    return rows


def main(encoder: str, output: str) -> None:
    """The loss and gradient of a step by hand, then the losses of ten steps and the weights after them by the trainer."""
    init_processes()
    settings = task_training_settings(
        batch_size=ROWS // world_size(),
        cross_process_negatives=True,
        contrastive_weight=0.5,
        distillation="graded",
        learning_rate=1e-3,
        overrides={"chat": {"distillation": "kl", "select_positive": "teacher", "temperature": 0.2}},
    )
    rows = {task: rows_of(task) for task in ("qa", "chat")}
    model = build_task_encoder(task_encoder_settings(encoder))
    apart, _ = first_step(model, rows, settings.model_copy(update={"cross_process_negatives": False}))
    loss, gradient = first_step(model, rows, settings)
    scratch = Path(output).parent / f"scratch{world_size()}"
    trained = train_task_retriever(model, rows, settings, dev_score=Rising(), compute=compute_in(scratch))
    if is_main_process():
        weights = torch.cat([value.flatten() for value in model.state_dict().values() if value.is_floating_point()])
        result = {
            "processes": world_size(),
            "loss": loss,
            "apart": apart,
            "gradient": gradient,
            "weights": weights.tolist(),
            "losses": trained.loss,
        }
        Path(output).write_text(json.dumps(result))


class Rising:
    """A dev score that is higher each time it is taken."""

    def __init__(self) -> None:
        self.value = 0.0

    def __call__(self, model: Any) -> list[float]:
        self.value += 1
        return [self.value]


def first_step(model: Any, rows: dict[str, list[TaskRow]], settings: Any) -> tuple[float, list[float]]:
    """The mean over processes of the first step's loss, and of its gradient."""
    chosen = select_rows(rows, settings, seed=1)
    task_set = build_task_set(chosen, settings, instruct=lambda task, role, text: text, processes=world_size(), seed=1)
    objectives = {task: settings.of(task) for task in rows}
    module = TaskLoss(model, task_set, objectives, similarity=similarity_of(model), cross_process=settings.cross_process_negatives)
    first = process_rank() * settings.batch_size
    part = slice(first, first + settings.batch_size)
    columns = [column for name, column in task_set.columns.items() if name != "label"]
    features = [model.preprocess(column[part]) for column in columns]
    model.eval()
    loss = module(features, torch.tensor(task_set.columns["label"][part]))
    loss.backward()
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    average_gradients(parameters)
    gradient = torch.cat([parameter.grad.flatten() for parameter in parameters]).tolist()
    model.zero_grad()
    return all_reduce_mean({"loss": loss.item()})["loss"], gradient


if __name__ == "__main__":
    main(*sys.argv[1:])
