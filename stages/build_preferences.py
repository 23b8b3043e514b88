"""Preference pairs from filters and difficulty: valid over invalid, hard over easy; held-out ones by document."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.feedback.preferences import build_preferences, split_by_document, summarise
from tandem.formats.jsonl import read_records, write_records
from tandem.records import Difficulty, PseudoQuery
from tandem.settings import Coefficient, Count, CountOrZero, OpenShare, Seed, Settings


class Params(Settings):
    """Which pairs."""

    pairs_per_document: Count
    min_margin: Coefficient
    """of difficulty, between two kept queries"""
    max_length_difference: CountOrZero
    """in words"""
    held_out_share: OpenShare
    """of the documents, to gate the reward model on"""
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries with status and difficulty, write training and held-out pairs."""
    reads, writes = "queries difficulty", "pairs held_out"
    with open_stage("build_preferences", Params, argv, reads=reads, writes=writes, words="round update") as (paths, params, tracked, _):
        difficulty = {row.query_id: row.difficulty for row in read_records(paths.difficulty, Difficulty)}
        pairs = build_preferences(read_records(paths.queries, PseudoQuery), difficulty, **params.model_dump(exclude={"held_out_share"}))
        train, held_out = split_by_document(pairs, held_out_share=params.held_out_share, seed=params.seed)
        write_records(paths.pairs, train)
        write_records(paths.held_out, held_out)
        tracked.log(summarise(train, held_out))


if __name__ == "__main__":
    run(main)
