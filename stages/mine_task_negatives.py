"""Hard negatives for the rows of every task that has a corpus, by BM25 or by the encoder that training starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stages.runtime import open_stage, run
from tandem.corpora.near_duplicates import duplicate_groups
from tandem.formats.jsonl import write_records
from tandem.formats.task_files import read_keys, read_rows
from tandem.retrievers.bm25 import BM25Settings, LexicalSettings
from tandem.retrievers.task_encoder import TaskEncoderSettings, build_task_encoder
from tandem.retrievers.task_negatives import TaskCorpus, TaskMiningSettings, mine_task_negatives
from tandem.retrievers.task_search import BM25Tasks, EncoderTasks
from tandem.runtime.hardware import device_name
from tandem.settings import PositiveShare
from tandem.text import Language

SPLITS = ("train", "dev")


class Params(TaskMiningSettings):
    """How negatives are mined."""

    run: Literal["off", "bm25", "dense"]
    """whose results are the negatives: BM25's, or those of the encoder that training starts from; off: rows keep what they have"""
    near_duplicate_threshold: PositiveShare
    """keys as similar as this to one that serves the query are none"""
    task_encoder: TaskEncoderSettings
    bm25: BM25Settings
    language: Language


def main(argv: Sequence[str] | None = None) -> None:
    """Read rows and corpora; write the rows with their negatives, those of tasks without a corpus as they are."""
    with open_stage("mine_task_negatives", Params, argv, reads="corpora rows", writes="mined") as (paths, params, tracked, _):
        lexical = LexicalSettings(bm25=params.bm25, language=params.language)
        dense = params.run == "dense"
        retriever = EncoderTasks(build_task_encoder(params.task_encoder, device=device_name())) if dense else BM25Tasks(lexical)
        rows = {split: read_rows(paths.rows / split) for split in SPLITS}
        corpora = {split: read_keys(paths.corpora / split) for split in SPLITS}
        for task in rows["train"]:
            searched: list[str] = []  # the keys that are indexed: those of both splits, where tasks come from files
            for split in SPLITS:
                mined, keys = rows[split][task], corpora[split].get(task, [])
                if params.run != "off" and keys and any(row.pos for row in mined):
                    if keys != searched:
                        corpus = TaskCorpus(keys, duplicate_groups(keys, threshold=params.near_duplicate_threshold))
                        searcher, searched = retriever.index(task, keys), keys
                    mined, counts = mine_task_negatives(mined, corpus, searcher, params)
                    tracked.log({f"{split}/{task}/{name}": count for name, count in counts.items()})
                write_records(paths.mined / split / f"{task}.jsonl", mined)


if __name__ == "__main__":
    run(main)
