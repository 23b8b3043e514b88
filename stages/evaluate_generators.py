"""Compare the generators on documents that none was trained on: BM25 round trip of their sampled queries; examples of each round."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from stages.opening import open_stage, run
from stages.sections import LexicalParams, PromptedParams, SamplingParams
from tandem.evaluation.generators import COLUMNS, compare_generators, describe_rounds, to_markdown
from tandem.filters.round_trip import ranks_of_pairs
from tandem.formats.jsonl import read_records, write_json, write_text
from tandem.formats.tables import write_table
from tandem.formats.texts import CorpusFile
from tandem.generators.trial import write_trials
from tandem.hardware import device_name
from tandem.records import LabelledPair, PseudoQuery
from tandem.settings import CountOrZero, Resamples, Seed


class Params(SamplingParams, PromptedParams, LexicalParams):
    """How generators are compared."""

    number: CountOrZero
    """of documents, drawn from those that no round wrote queries for"""
    examples: CountOrZero
    """of each round's queries, shown in full"""
    resamples: Resamples
    rounds: dict[str, dict[str, str]]
    updates: dict[str, dict[str, str]]
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, dev pairs, filtered queries and generators; write the table and the report."""
    reads, writes = "corpus dev rounds generators", "metrics table text values"
    with open_stage("evaluate_generators", Params, argv, reads=reads, writes=writes, words="base") as (paths, params, tracked, _):
        corpus, real = CorpusFile(paths.corpus), read_records(paths.dev, LabelledPair)
        rounds = {name: read_records(paths.rounds / name / "queries.jsonl", PseudoQuery) for name in params.rounds}
        folders = {name: str(paths.generators / name / "model/weights") for name in ["g1", *params.updates]}
        sampling = params.model_dump(include={*SamplingParams.model_fields, "number", "seed"}) | {"prompt": params.asked()}
        seen = {row.doc_id for rows in rounds.values() for row in rows}
        trials = write_trials({"base": paths.base, **folders}, corpus, seen=seen, device=device_name(), **sampling)
        parents = {"g1": "base", **{name: update["base"] for name, update in params.updates.items()}}
        ranks = partial(ranks_of_pairs, corpus, search=params.index(corpus.texts).search)
        rows, values = compare_generators(trials, real, ranks, parents=parents, resamples=params.resamples, seed=params.seed)
        write_json(paths.metrics, {row["generator"]: {key: row[key] for key in row if key != "generator"} for row in rows})
        write_json(paths.values, values)
        write_table(paths.table, rows, COLUMNS)
        shown = describe_rounds(rounds, corpus, examples=params.examples, seed=params.seed)
        write_text(paths.text, f"# What the generators write\n\n{to_markdown(rows)}\n{shown}")
        tracked.log({f"{row['generator']}/{key}": row[key] for row in rows for key in ("top_1", "top_10", "distinct_share", "mean_words")})


if __name__ == "__main__":
    run(main)
