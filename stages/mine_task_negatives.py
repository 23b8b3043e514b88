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
        for split in ("train", "dev"):
            corpora = read_keys(paths.corpora / split)
            for task, rows in read_rows(paths.rows / split).items():
                keys, mined = corpora.get(task, []), rows
                if params.run != "off" and keys and any(row.pos for row in rows):
                    corpus = TaskCorpus(keys, duplicate_groups(keys, threshold=params.near_duplicate_threshold))
                    mined, counts = mine_task_negatives(rows, corpus, retriever.index(task, keys), params)
                    tracked.log({f"{split}/{task}/{name}": count for name, count in counts.items()})
                write_records(paths.mined / split / f"{task}.jsonl", mined)


if __name__ == "__main__":
    run(main)
