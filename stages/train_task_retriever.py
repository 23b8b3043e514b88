"""Train one dense retriever of one or several tasks, on labels, on a language model's scores, or on both."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.formats.tables import write_curve
from tandem.formats.task_files import read_rows
from tandem.retrievers.dense import save_dense
from tandem.retrievers.task_encoder import TaskEncoderSettings, build_task_encoder
from tandem.retrievers.task_search import EncoderTasks
from tandem.retrievers.training.task_dev import dev_values
from tandem.retrievers.training.task_rows import count_left_out
from tandem.retrievers.training.task_settings import TaskRetrieverPlan, TaskTrainingSettings
from tandem.retrievers.training.tasks import train_task_retriever
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(TaskTrainingSettings):
    """What all retrievers learn by, and each by its name."""

    task_encoder: TaskEncoderSettings
    retrievers: dict[str, TaskRetrieverPlan]
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read scored rows; write the encoder, a folder of sentence-transformers, and its curves."""
    reads, writes = "rows", "model curve"
    with open_stage("train_task_retriever", Params, argv, reads=reads, writes=writes, words="name") as (paths, params, tracked, scratch):
        plan = params.retrievers[paths.name]
        settings, compute = params.for_retriever(plan), Compute(device_name(), use_bf16(params.precision), params.seed, scratch)
        train, dev = (
            {task: rows for task, rows in read_rows(paths.rows / split).items() if task in plan.tasks} for split in ("train", "dev")
        )
        model = build_task_encoder(params.task_encoder.bare() if not plan.instructions else params.task_encoder, device=compute.device)
        trained = train_task_retriever(
            model,
            train,
            settings,
            dev_score=lambda model: dev_values(dev, EncoderTasks(model), ndcg_at_10),
            compute=compute,
        )
        save_dense(model, paths.model)
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({**count_left_out(train, settings, seed=params.seed), "best_step": trained.best_step})
        write_curve(paths.curve, {"loss": trained.loss, "dev_ndcg_at_10": trained.dev})


if __name__ == "__main__":
    run(main)
