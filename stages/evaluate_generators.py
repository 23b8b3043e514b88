"""Compare generators on documents that none was trained on, by retrievers that no reward has seen; show what every round wrote."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from stages.generator_sections import TrialParams
from stages.runtime import open_stage, run
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.generator_report import describe_rounds, to_markdown
from tandem.evaluation.generators import COLUMNS, LOGGED, compare_generators, compare_training, to_metrics
from tandem.filters.round_trip import Search, ranks_of_pairs
from tandem.formats.jsonl import read_records, write_json, write_text
from tandem.formats.tables import write_table
from tandem.formats.texts import CorpusFile
from tandem.generators.trial import write_trials
from tandem.records import LabelledPair, PseudoQuery
from tandem.retrievers.index.building import open_index
from tandem.retrievers.training.generated import train_on_generated
from tandem.runtime.hardware import Compute, device_name, use_bf16


class Params(TrialParams):
    """How generators are compared."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, labelled pairs, filtered queries, generators and the untouched encoder; write the tables and the report."""
    reads, writes = "corpus train dev rounds generators unseen indexes", "metrics table text values"
    with open_stage("evaluate_generators", Params, argv, reads=reads, writes=writes, words="base") as (paths, params, tracked, scratch):
        corpus, device = CorpusFile(paths.corpus), device_name()
        train, dev = (read_records(path, LabelledPair) for path in (paths.train, paths.dev))
        rounds = {name: read_records(paths.rounds / name / "queries.jsonl", PseudoQuery) for name in params.rounds}
        folders = {name: str(paths.generators / name / "model/weights") for name in ["g1", *params.updates]}
        seen = {pair.doc_id for pair in train} | {row.doc_id for rows in rounds.values() for row in rows}
        trials = write_trials({"base": paths.base, **folders}, corpus, params, params, seen=seen, device=device, seed=params.seed)
        tested: dict[str, Any] = {"parents": params.parents(), "settings": params}
        unseen = open_index(paths.indexes / "dense", paths.unseen, device=device)
        indexes = {"unseen": unseen, "rewarded": open_index(paths.indexes / "bm25")}
        searches: dict[str, Search] = {name: partial(index.search, depth=100) for name, index in indexes.items()}
        ranks = {name: partial(ranks_of_pairs, corpus, search=find) for name, find in searches.items()}
        rows, values = compare_generators(trials, dev, ranks, corpus.texts, **tested)
        learnt = train_on_generated(
            corpus,
            {name: trials[name] for name in folders},
            [*train, *dev],
            params.training,
            params.retriever,
            measure=ndcg_at_10,
            compute=Compute(device, use_bf16(params.precision), params.seed, scratch),
        )
        training = compare_training(learnt, **tested)
        write_json(paths.metrics, to_metrics(rows, training))
        write_json(paths.values, values)
        write_table(paths.table, [row.as_dict() for row in rows], COLUMNS)
        examples = describe_rounds(rounds, corpus, examples=params.examples, seed=params.seed)
        write_text(paths.text, f"# What the generators write\n\n{to_markdown(rows, training)}\n{examples}")
        tracked.log({f"{row.generator}/{key}": value for row in rows for key, value in row.measures().items() if key in LOGGED})
        tracked.log({f"{name}/trained_ndcg_at_10": row.trained for name, row in training.items()})


if __name__ == "__main__":
    run(main)
