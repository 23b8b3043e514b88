"""All retrievers of tasks in one table with paired tests, and the one that the dev rows choose."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from stages.runtime import open_stage, run
from tandem.evaluation.task_comparison import TaskCompareSettings, choose_retriever, compare_tasks, task_table
from tandem.formats.jsonl import write_json, write_text
from tandem.retrievers.training.task_settings import TaskRetrieverPlan
from tandem.settings import Seed


class Params(TaskCompareSettings):
    """How to compare."""

    measures: dict[str, str]
    """of each task, the one that is tested"""
    retrievers: dict[str, TaskRetrieverPlan]
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read values of test queries and dev rows; write the comparison as JSON and Markdown, and the choice."""
    reads, writes = "per_query dev_values", "comparison text choice"
    with open_stage("compare_tasks", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        every = orjson.loads(paths.per_query.read_bytes())
        values = {
            name: {task: tasks[task][measure] for task, measure in params.measures.items() if tasks.get(task, {}).get(measure)}
            for name, tasks in every.items()
        }
        results = compare_tasks(values, params)
        choice = choose_retriever(orjson.loads(paths.dev_values.read_bytes()), list(params.retrievers), params)
        text = task_table(results, params.measures) + f"\nChosen on dev rows: {choice.chosen}.\n"
        write_json(paths.comparison, [result.as_dict() for result in results])
        write_json(paths.choice, {"chosen": choice.chosen, "gains": choice.gains, "worse_on": choice.worse_on})
        write_text(paths.text, text)
        tracked.log({f"dev_gain/{name}": gain for name, gain in choice.gains.items()})
        print(text)


if __name__ == "__main__":
    run(main)
