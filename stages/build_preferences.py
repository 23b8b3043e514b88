"""Preference pairs from filters and difficulty: valid over invalid, hard over easy; held-out ones by document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.runtime import open_stage, run
from tandem.feedback.preferences import PreferenceSettings, build_preferences, read_preferences, split_by_document, summarise
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_records
from tandem.records import Difficulty, PseudoQuery
from tandem.settings import Seed


class Params(PreferenceSettings):
    """Which pairs."""

    file: str | None
    """JSONL of preference pairs to take in place of the round's, as `tandem import preferences` writes them"""
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries with status and difficulty, or the pairs of a file, write training and held-out pairs."""
    reads, writes = "corpus queries difficulty", "pairs held_out"
    with open_stage("build_preferences", Params, argv, reads=reads, writes=writes, words="round update") as (paths, params, tracked, _):
        if params.file:
            pairs = read_preferences(Path(params.file), Corpus(paths.corpus).texts)
        else:
            difficulty = {row.query_id: row.difficulty for row in read_records(paths.difficulty, Difficulty)}
            pairs = build_preferences(read_records(paths.queries, PseudoQuery), difficulty, params, seed=params.seed)
        train, held_out = split_by_document(pairs, held_out_share=params.held_out_share, seed=params.seed)
        write_records(paths.pairs, train)
        write_records(paths.held_out, held_out)
        tracked.log(summarise(train, held_out))


if __name__ == "__main__":
    run(main)
