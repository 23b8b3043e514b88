"""Rows of every task, parted into train, dev and test, and the corpora that their places name."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.corpora.tasks import TaskSourceSettings, load_tasks
from tandem.formats.jsonl import write_records
from tandem.formats.task_files import write_keys
from tandem.settings import Seed


class Params(TaskSourceSettings):
    """Where tasks come from."""

    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read packages or files; write rows, queries and corpora, one file a task."""
    with open_stage("prepare_tasks", Params, argv, writes="corpora rows test") as (paths, params, tracked, _):
        tasks, counts = load_tasks(params, seed=params.seed)
        for name, task in tasks.items():
            write_keys(paths.corpora, name, task.corpora)
            write_records(paths.rows / "train" / f"{name}.jsonl", task.train)
            write_records(paths.rows / "dev" / f"{name}.jsonl", task.dev)
            write_records(paths.test / f"{name}.jsonl", task.test)
            tracked.log({f"{name}/train": len(task.train), f"{name}/dev": len(task.dev), f"{name}/test": len(task.test)})
        tracked.log(counts)


if __name__ == "__main__":
    run(main)
