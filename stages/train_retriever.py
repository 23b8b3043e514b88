"""Train a round's retriever from the initial one: labelled pairs plus the kept queries of this round and the one before."""

from __future__ import annotations

from collections.abc import Sequence

from stages.retriever_sections import RoundParams
from stages.runtime import open_stage, run
from stages.sections import RetrieverParams
from tandem.evaluation.measures import ndcg_at_10
from tandem.formats.jsonl import read_records
from tandem.formats.tables import write_curve
from tandem.formats.texts import CorpusFile
from tandem.records import LabelledPair, PseudoQuery, RankingRow
from tandem.retrievers.rounds import train_round
from tandem.runtime.hardware import device_name, use_bf16
from tandem.settings import Seed
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(RoundParams):
    """Training of a round's retriever; what it starts from stands under ``retriever``."""

    retriever: RetrieverParams
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs, queries and corpus, write the model and its curves."""
    reads, writes = "corpus train dev previous_queries queries negatives", "model curve"
    with (
        open_stage("train_retriever", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, scratch),
        save_model_folder(paths.model, serving_code("retriever_model")) as weights,
    ):
        trained, sizes = train_round(
            CorpusFile(paths.corpus),
            read_records(paths.train, LabelledPair),
            read_records(paths.dev, LabelledPair),
            [read_records(path, PseudoQuery) for path in dict.fromkeys((paths.previous_queries, paths.queries))],
            weights,
            **params.model_dump(exclude={"retriever", "precision"}),
            mined=read_records(paths.negatives, RankingRow),
            initial=params.retriever.model_dump(),
            measure=ndcg_at_10,
            device=device_name(),
            scratch=scratch,
            bf16=use_bf16(params.precision),
        )
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({**sizes, "best_step": trained.best_step})
        write_curve(paths.curve, {"loss": trained.loss, "dev_ndcg_at_10": trained.dev})


if __name__ == "__main__":
    run(main)
