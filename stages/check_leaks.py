"""Look for test and dev queries where they must not be, and for documents chosen by the test set; a leak ends the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from stages.runtime import open_stage, run
from tandem.evaluation.leaks import HeldOut, LeakSettings, TrainingData, check_all, raise_leaks, to_markdown
from tandem.formats.beir import read_qrels
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_json
from tandem.generators.prompts import PromptSettings
from tandem.records import LabelledPair, PseudoQuery, Query
from tandem.runtime.rounds import RoundPlan

REMEDY = (
    "prepare_corpus.near_duplicate_queries leaves near duplicates out of the labelled pairs, an imported query file "
    "(generate_queries.file) needs cleaning; docs/honesty.md says what check_leaks' values allow"
)


class Params(LeakSettings):
    """What counts as a leak, and what is looked at."""

    prompt: PromptSettings
    rounds: dict[str, RoundPlan]


def main(argv: Sequence[str] | None = None) -> None:
    """Read everything that is trained on, and the test set; write what was checked."""
    reads, writes = "corpus train dev test rounds", "findings"
    with open_stage("check_leaks", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        training = TrainingData(
            read_records(paths.train, LabelledPair),
            read_records(paths.dev, LabelledPair),
            {name: read_records(paths.rounds / name / "generated.jsonl", PseudoQuery) for name in params.rounds},
            params.prompt.template,
        )
        queries = {query.query_id: query.text for query in read_records(paths.test / "queries.jsonl", Query)}
        findings = check_all(Corpus(paths.corpus), training, HeldOut(queries, read_qrels(paths.test / "qrels.tsv")), params)
        print(to_markdown(findings))
        raise_leaks(findings, remedy=REMEDY)
        write_json(paths.findings, [asdict(finding) for finding in findings])
        tracked.log({"checks": len(findings), "rows_found": sum(finding.found for finding in findings)})


if __name__ == "__main__":
    run(main)
