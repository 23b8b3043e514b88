"""Look for test and dev queries where they must not be, and for documents chosen by the test set; a leak ends the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from stages.runtime import open_stage, run
from stages.sections import PromptParams
from tandem.evaluation.leaks import check_all, raise_leaks, to_markdown
from tandem.formats.beir import read_qrels
from tandem.formats.jsonl import read_records, write_json
from tandem.formats.texts import CorpusFile
from tandem.records import LabelledPair, PseudoQuery, Query
from tandem.runtime.rounds import RoundPlan
from tandem.settings import OpenShare, PositiveShare, Settings, Share


class Params(Settings):
    """What counts as a leak."""

    near_duplicate_threshold: PositiveShare
    """Jaccard similarity of two queries' words from which they are one query"""
    allowed_share: Share
    """of a round's generated queries that may be a test or dev query by chance"""
    alpha: OpenShare
    """p-value below which test documents count as barred or favoured"""
    prompt: PromptParams
    rounds: dict[str, RoundPlan]


def main(argv: Sequence[str] | None = None) -> None:
    """Read everything that is trained on, and the test set; write what was checked."""
    reads, writes = "corpus train dev test rounds", "findings"
    with open_stage("check_leaks", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        findings = check_all(
            CorpusFile(paths.corpus),
            read_records(paths.train, LabelledPair),
            read_records(paths.dev, LabelledPair),
            {query.query_id: query.text for query in read_records(paths.test / "queries.jsonl", Query)},
            read_qrels(paths.test / "qrels.tsv"),
            {name: read_records(paths.rounds / name / "generated.jsonl", PseudoQuery) for name in params.rounds},
            template=params.prompt.template,
            **params.model_dump(exclude={"prompt", "rounds"}),
        )
        print(to_markdown(findings))
        raise_leaks(findings)
        write_json(paths.findings, [asdict(finding) for finding in findings])
        tracked.log({"checks": len(findings), "rows_found": sum(finding.found for finding in findings)})


if __name__ == "__main__":
    run(main)
