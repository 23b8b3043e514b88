"""Compare generators on documents that none was trained on, by retrievers that no reward has seen; list what every round wrote."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from stages.runtime import open_stage, run
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.generator_report import describe_rounds, to_markdown
from tandem.evaluation.generators import COLUMNS, compare_generators, compare_training, to_metrics
from tandem.evaluation.significance import SignificanceSettings
from tandem.filters.round_trip import ranks_of_pairs
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_json, write_text
from tandem.formats.tables import write_table
from tandem.generators.prompts import PromptedSettings
from tandem.generators.queries import QuerySettings
from tandem.generators.trial import write_trials
from tandem.records import LabelledPair, PseudoQuery
from tandem.retrievers.index.building import open_index
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.generated import TrialTrainingSettings, train_on_generated
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.runtime.rounds import RoundPlan, UpdatePlan, generator_parents
from tandem.settings import CountOrZero


class Params(QuerySettings, PromptedSettings, SignificanceSettings):
    """How generators are compared, on documents that no round wrote queries for."""

    examples: CountOrZero
    """of each round's queries, shown in full"""
    training: TrialTrainingSettings
    retriever: RetrieverSettings
    rounds: dict[str, RoundPlan]
    updates: dict[str, UpdatePlan]
    precision: Precision


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, labelled pairs, filtered queries, generators and the untouched encoder; write the tables and the report."""
    reads, writes = "corpus train dev rounds generators unseen indexes", "metrics table text values"
    with open_stage("evaluate_generators", Params, argv, reads=reads, writes=writes, words="base") as (paths, params, tracked, scratch):
        corpus, parents = Corpus(paths.corpus), generator_parents(params.updates)
        compute = Compute(device_name(), use_bf16(params.precision), params.seed, scratch)
        train, dev = (read_records(path, LabelledPair) for path in (paths.train, paths.dev))
        rounds = {name: read_records(paths.rounds / name / "queries.jsonl", PseudoQuery) for name in params.rounds}
        seen = {pair.doc_id for pair in train} | {row.doc_id for rows in rounds.values() for row in rows}
        generators = {"base": paths.base, **{name: str(paths.generators / name / "model/weights") for name in parents}}
        trials = write_trials(generators, corpus, params, params, seen=seen, device=compute.device, seed=params.seed)
        unseen, bm25 = open_index(paths.indexes / "dense", paths.unseen, device=compute.device), open_index(paths.indexes / "bm25")
        searches = {"unseen": partial(unseen.search, depth=100), "rewarded": partial(bm25.search, depth=100)}
        ranks = {name: partial(ranks_of_pairs, corpus, search=search) for name, search in searches.items()}
        rows, values = compare_generators(trials, dev, ranks, corpus.texts, parents=parents, settings=params)
        shape, tuned = (params.training, params.retriever), {name: trials[name] for name in parents}
        learnt = train_on_generated(corpus, tuned, [*train, *dev], *shape, measure=ndcg_at_10, compute=compute)
        training = compare_training(learnt, parents=parents, settings=params)
        write_json(paths.metrics, to_metrics(rows, training))
        write_json(paths.values, values)
        write_table(paths.table, [row.as_dict() for row in rows], COLUMNS)
        examples = describe_rounds(rounds, corpus, examples=params.examples, seed=params.seed)
        write_text(paths.text, f"# What the generators write\n\n{to_markdown(rows, training)}\n{examples}")
        tracked.log({f"{row.generator}/{key}": value for row in rows for key, value in row.logged().items()})
        tracked.log({f"{name}/trained_ndcg_at_10": row.trained for name, row in training.items()})


if __name__ == "__main__":
    run(main)
