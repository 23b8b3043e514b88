"""Draw the labelled budget from the train split and part it into training and dev pairs; round 0 has no pseudo queries."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.corpora.few_shot import BudgetSettings, budget, sample_pairs
from tandem.formats.jsonl import read_records, write_records
from tandem.records import LabelledPair


class Params(BudgetSettings):
    """How many labels there are."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the train split, write training pairs, dev pairs and round 0's empty query file."""
    with open_stage("sample_pairs", Params, argv, reads="pairs", writes="train dev queries") as (paths, params, tracked, _):
        train, dev = sample_pairs(read_records(paths.pairs, LabelledPair), params)
        write_records(paths.train, train)
        write_records(paths.dev, dev)
        write_records(paths.queries, [])
        tracked.log({f"train_{name}": value for name, value in budget(train).items()})
        tracked.log({f"dev_{name}": value for name, value in budget(dev).items()})


if __name__ == "__main__":
    run(main)
