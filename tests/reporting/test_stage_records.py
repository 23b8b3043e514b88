"""Records of stages: finite values, in the order of the rounds, longest first."""

from __future__ import annotations

import json
from pathlib import Path

from report_records import record

from tandem.reporting.stage_records import parse_record, read_stage_records, stage_times


def test_what_is_not_finite_is_left_out_and_named() -> None:
    content = {"stage": "improve_generator", "round": "r1", "tags": {"dvc.stage": "improve_generator@g2"}}
    content |= {"metrics": {"kl": None, "fine": 2.0}, "series": {"reward": [[1, 0.5], [2, None]], "loss": [[1, 0.1]]}}
    parsed = parse_record(content)
    assert (parsed.instance, parsed.metrics, parsed.series["reward"]) == ("g2", {"fine": 2.0}, [(1, 0.5)])
    assert parsed.not_finite == ("improve_generator@r1: kl", "improve_generator@r1: reward")


def test_a_stage_of_a_longer_name_is_an_instance_of_its_stage() -> None:
    """The final reranker is trained by train_reranker, whose costs are those of the filters; build_index has names of another beginning."""
    names = {"train_reranker_final": "final", "train_reranker": "", "index_filter": "", "mine_negatives_r0": ""}
    for name, instance in names.items():
        stage = "build_index" if name == "index_filter" else "train_reranker"
        assert parse_record({"stage": stage, "round": "", "tags": {"dvc.stage": name}, "metrics": {}, "series": {}}).instance == instance


def test_records_are_read_in_the_order_of_the_rounds(tmp_path: Path) -> None:
    for stage, name in (("b", "r10"), ("a", "r2"), ("b", "r0"), ("a", "r0"), ("z", ""), ("a", "gone")):
        folder = tmp_path / (name or ".")
        folder.mkdir(exist_ok=True)
        (folder / f"{stage}.json").write_text(json.dumps({"stage": stage, "round": name, "metrics": {}, "series": {}}))
    records = read_stage_records(tmp_path, ["r0", "r2", "r10"])
    assert [(item.stage, item.round) for item in records] == [("z", ""), ("a", "r0"), ("b", "r0"), ("a", "r2"), ("b", "r10"), ("a", "gone")]


def test_times_are_longest_first_and_named_by_instance_or_round() -> None:
    records = [record("a", "r1", seconds=1.0), record("b", "r1", seconds=3.0, instance="g2"), record("c", seconds=2.0)]
    assert [time.stage for time in stage_times(records)] == ["b@g2", "c", "a@r1"]
