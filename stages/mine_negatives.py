"""Hard negatives for every query that a round trains on, from any run, screened; with a teacher's scores where it is to teach."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_records
from tandem.records import LabelledPair, PseudoQuery
from tandem.rerankers.judge import JudgeSettings, load_judge
from tandem.retrievers.filter_runs import FilterRuns, open_searchers
from tandem.retrievers.hard_negatives import MiningSettings, mine_rows
from tandem.retrievers.hybrid import FusedRun, FusedRunSettings
from tandem.retrievers.index.building import open_index
from tandem.retrievers.system import untrained_arm
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(MiningSettings):
    """Mining, and the fused run and the judge that it may need."""

    fusion: FusedRunSettings
    relevance: JudgeSettings
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, pairs, queries and indexes; write a row for each query text."""
    reads = "corpus train previous_queries queries encoder indexes initial reranker"
    words = "round kind previous"
    with open_stage("mine_negatives", Params, argv, reads=reads, writes="negatives", words=words) as (paths, params, tracked, _):
        corpus = Corpus(paths.corpus)
        pairs: list[LabelledPair | PseudoQuery] = [*read_records(paths.train, LabelledPair)]
        for path in dict.fromkeys((paths.previous_queries, paths.queries)):
            pairs += [row for row in read_records(path, PseudoQuery) if row.status == "kept"]
        device, bf16 = device_name(), use_bf16(params.precision)
        fused = FusedRun(params.fusion, kind=paths.kind, previous=paths.previous, device=device)
        start = untrained_arm(paths.kind)
        initial = open_index(paths.indexes / start, paths.initial / start / "weights", device=device)
        searchers = {**open_searchers(paths.indexes, paths.encoder, fused, device=device), "retriever": initial}
        runs = FilterRuns(corpus, searchers, depth=params.rank_end, seed=params.seed)
        rows, counts = mine_rows(
            pairs if params.run != "off" else [],
            corpus,
            runs.search,
            params,
            judge=partial(load_judge, params.relevance, paths.reranker, device=device, bf16=bf16),
            seed=params.seed,
        )
        write_records(paths.negatives, rows)
        tracked.log(counts)


if __name__ == "__main__":
    run(main)
