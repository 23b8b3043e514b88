"""Sample queries for documents from a generator (seeded, cleaned, resumable), from a server, or take them from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from stages.runtime import open_stage, run
from stages.sections import PromptedParams, SamplingParams
from tandem.formats.jsonl import write_records
from tandem.formats.texts import CorpusFile
from tandem.generators.imported import import_queries
from tandem.generators.sampling import sample_rows, summarise
from tandem.generators.served import Server, served_rows
from tandem.runtime.distributed import is_main_process
from tandem.runtime.hardware import device_name
from tandem.runtime.scratch import folder_identity
from tandem.settings import CountOrZero, Seed

CACHE = Path(".scratch/answers.jsonl")


class Params(SamplingParams, PromptedParams):
    """How many documents get queries, and how these are sampled."""

    backend: Literal["model", "openai", "file"]
    """model samples from the round's generator; openai asks a server; file takes what another program wrote"""
    served: Server
    file: str | None
    """of backend file: JSONL of {text, doc_id}"""
    sampled_documents: CountOrZero
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and generator, write one row for each query."""
    reads, writes = "corpus weights", "queries"
    with open_stage("generate_queries", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        documents = CorpusFile(paths.corpus)
        plan: dict[str, Any] = {"prefix": paths.round, **params.model_dump(include={"sampled_documents", "queries_per_document", "seed"})}
        sampling = params.model_dump(include=set(SamplingParams.model_fields) - {"queries_per_document"})
        whole, counts = {**plan, **params.asked()}, dict[str, float]()
        if params.backend != "model" and not is_main_process():
            rows = []  # one process asks the server, or reads the file
        elif params.backend == "file":
            rows = import_queries(Path(params.file or ""), documents, **plan)
        elif params.backend == "openai":
            where = {"generator": paths.weights.parts[-3], "server": params.served, "cache": CACHE}
            rows, counts = served_rows(documents, plan=whole, sampling=sampling, **where)
        else:
            sampling["seed"] = f"{params.seed}:{paths.round}"
            own: dict[str, Any] = {"sampling": sampling, "cache": CACHE, "identity": folder_identity(paths.weights)}
            rows, counts = sample_rows(paths.weights, documents, plan=whole, device=device_name(), **own)
        write_records(paths.queries, rows)
        tracked.log({**counts, **summarise(rows)})


if __name__ == "__main__":
    run(main)
