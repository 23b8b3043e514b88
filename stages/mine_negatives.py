"""Hard negatives for every query that a round trains on, from any run, screened; with a teacher's scores where it is to teach."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from stages.filter_sections import MiningParams, RelevanceParams
from stages.opening import open_stage, run
from stages.sections import LexicalParams, RetrieverParams
from tandem.formats.jsonl import read_records, write_records
from tandem.formats.texts import CorpusFile
from tandem.records import LabelledPair, PseudoQuery
from tandem.rerankers.judge import load_judge
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.hard_negatives import mine_rows
from tandem.retrievers.retriever import build_retriever
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(MiningParams, LexicalParams):
    """Mining, the judge and the retriever that a run may need."""

    relevance: RelevanceParams
    retriever: RetrieverParams
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, pairs and queries, write a row for each query text."""
    reads, writes = "corpus train previous_queries queries encoder vectors reranker", "negatives"
    with open_stage("mine_negatives", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        corpus = CorpusFile(paths.corpus)
        pairs: list[LabelledPair | PseudoQuery] = [*read_records(paths.train, LabelledPair)]
        for path in dict.fromkeys((paths.previous_queries, paths.queries)):
            pairs += [row for row in read_records(path, PseudoQuery) if row.status == "kept"]
        device, bf16 = device_name(), use_bf16(params.precision)
        initial = partial(build_retriever, **params.retriever.model_dump(), seed=params.seed, device=device)
        own: dict[str, Any] = {"settings": params.bm25, "language": params.language, "depth": params.rank_end + 50, "seed": params.seed}
        runs = FilterRuns(corpus, paths.encoder, paths.vectors, device=device, initial=initial, **own)
        rows, counts = mine_rows(
            pairs if params.run != "off" else [],
            corpus,
            partial(runs.search, params.run),
            judge=partial(load_judge, trained=paths.reranker, **dict(params.relevance), device=device, bf16=bf16),
            seed=params.seed,
            **params.model_dump(include=set(MiningParams.model_fields) - {"run"}),
        )
        write_records(paths.negatives, rows)
        tracked.log(counts)


if __name__ == "__main__":
    run(main)
