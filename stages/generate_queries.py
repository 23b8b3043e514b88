"""Sample queries for documents from a generator: seeded, cleaned, resumable batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

from stages.opening import open_stage, run
from stages.sections import PromptParams, SamplingParams
from tandem.formats.journal import journalled
from tandem.formats.jsonl import read_records, write_records
from tandem.generators.base import load_generator
from tandem.generators.sampling import mark_unusable, plan_prompts, sample_queries, summarise
from tandem.hardware import device_name
from tandem.records import Document


class Params(SamplingParams):
    """How many documents get queries, and how these are sampled."""

    sampled_documents: int
    prompt: PromptParams
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and generator, write one row for each query."""
    reads, writes = "corpus weights", "queries"
    with open_stage("generate_queries", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, scratch):
        model, tokenizer = load_generator(str(paths.weights), device=device_name())
        requests, prompts = plan_prompts(
            read_records(paths.corpus, Document),
            tokenizer,
            prefix=paths.round,
            **params.model_dump(include={"sampled_documents", "queries_per_document", "seed"}),
            **params.prompt.model_dump(),
        )
        documents = {query_id: doc_id for query_id, doc_id, _ in requests}
        seed = f"{params.seed}:{paths.round}"
        settings = params.model_dump(include=set(SamplingParams.model_fields) - {"queries_per_document"})
        batches = journalled(
            scratch / "batches.jsonl",
            lambda done: sample_queries(model, tokenizer, prompts, documents, **settings, seed=seed, skip_batches=done),
        )
        rows = mark_unusable(requests, {query_id: text for batch in batches for query_id, text in batch})
        write_records(paths.queries, rows)
        tracked.log(summarise(rows))


if __name__ == "__main__":
    run(main)
