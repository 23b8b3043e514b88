"""Hard negatives for every query that a round trains on, from any run, screened; with a teacher's scores where it is to teach."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_records
from tandem.records import LabelledPair, PseudoQuery
from tandem.rerankers.judge import JudgeSettings, load_judge
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.hard_negatives import MiningSettings, mine_rows
from tandem.retrievers.index.building import open_index
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(MiningSettings):
    """Mining, and the judge that it may need."""

    relevance: JudgeSettings
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, pairs, queries and indexes; write a row for each query text."""
    reads = "corpus train previous_queries queries encoder indexes initial reranker"
    with open_stage("mine_negatives", Params, argv, reads=reads, writes="negatives", words="round kind") as (paths, params, tracked, _):
        corpus = Corpus(paths.corpus)
        pairs: list[LabelledPair | PseudoQuery] = [*read_records(paths.train, LabelledPair)]
        for path in dict.fromkeys((paths.previous_queries, paths.queries)):
            pairs += [row for row in read_records(path, PseudoQuery) if row.status == "kept"]
        device, bf16 = device_name(), use_bf16(params.precision)
        searchers = {
            "bm25": open_index(paths.indexes / "bm25"),
            "dense": open_index(paths.indexes / "filter", paths.encoder, device=device),
            "retriever": open_index(paths.indexes / paths.kind, paths.initial / paths.kind / "weights", device=device),
        }
        runs = FilterRuns(corpus, searchers, depth=params.rank_end + 50, seed=params.seed)
        rows, counts = mine_rows(
            pairs if params.run != "off" else [],
            corpus,
            partial(runs.search, params.run),
            params,
            judge=partial(load_judge, params.relevance, paths.reranker, device=device, bf16=bf16),
            seed=params.seed,
        )
        write_records(paths.negatives, rows)
        tracked.log(counts)


if __name__ == "__main__":
    run(main)
