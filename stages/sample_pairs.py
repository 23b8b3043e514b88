"""Draw the labelled budget from the train split and part it into training and dev pairs; round 0 has no pseudo queries."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arguments import parse, run
from tandem.corpora.few_shot import budget, sample_pairs
from tandem.formats.jsonl import read_records, write_records
from tandem.params import Section, load_params
from tandem.records import LabelledPair
from tandem.tracking import record


class Params(Section):
    """How many labels there are."""

    pairs: int
    """labelled pairs to draw; 0 is legal: no fine-tuning, round 0 is zero-shot, dev is made of pseudo queries"""
    dev_share: float
    """share of the drawn queries that choose checkpoints"""
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read the train split, write training pairs, dev pairs and round 0's empty query file."""
    arguments = parse(__doc__, argv, "pairs", "train", "dev", "queries", "record")
    params = load_params(arguments.params, "sample_pairs", Params)
    with record("sample_pairs", params, arguments.record) as tracked:
        pairs = read_records(arguments.pairs, LabelledPair)
        train, dev = sample_pairs(pairs, number=params.pairs, dev_share=params.dev_share, seed=params.seed)
        write_records(arguments.train, train)
        write_records(arguments.dev, dev)
        write_records(arguments.queries, [])
        tracked.log({f"train_{name}": value for name, value in budget(train).items()})
        tracked.log({f"dev_{name}": value for name, value in budget(dev).items()})


if __name__ == "__main__":
    run(main)
