"""docs/mlflow.md: every search string finds what it says, and every column that it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.jsonl import write_records
from tandem.records import LabelledPair
from tandem.tracking import sync as tracking
from tandem.tracking.record import record
from tandem.tracking.round_runs import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs/mlflow.md").read_text()
RUN_SEARCHES = re.search(r"for the search box of `tandem-stages`:\n\n```\n(.*?)```", PAGE, re.DOTALL)
MODEL_SEARCHES = re.search(r"names its logged model\.\n\n```\n(.*?)```", PAGE, re.DOTALL)


def strings(block: re.Match[str] | None) -> list[str]:
    assert block is not None
    return [re.split(r" {2,}#", line)[0].strip() for line in block[1].splitlines()]


def open_store() -> tuple[Any, str]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking.tracking_uri())
    return client, client.get_experiment_by_name(tracking.STAGES).experiment_id


@pytest.fixture
def documented(project: Path) -> None:
    """A store with a run for each search: a retriever trained and measured, queries sampled, a generator improved."""
    write_records(Path("out/data/pairs/train.jsonl"), [LabelledPair(query_id="q", text="what", doc_id="d")])
    folder = Path("out/rounds/r2/retriever")
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("")
    records = Path("out/records/r2")
    with record("train_retriever", {}, records / "train_retriever.json", round_id="r2") as run:
        run.log_input("train", Path("out/data/pairs/train.jsonl"))
        run.log_models([folder])
    with record("evaluate_retriever", {}, records / "evaluate_retriever.json", round_id="r2") as run:
        run.log_input("weights", folder / "weights")
        run.log({"ndcg_at_10": 0.7})
    for stage, update in (("generate_queries", ""), ("improve_generator", "g2")):
        with record(stage, {"temperature": 0.9}, records / f"{stage}.json", round_id="r2", update=update, source=f"stages/{stage}.py"):
            pass
    tracking.sync(project / "out/records")


@pytest.mark.parametrize("text", strings(RUN_SEARCHES))
def test_a_search_for_runs_is_one_that_mlflow_takes(documented: None, text: str) -> None:
    client, experiment = open_store()
    expected = 0 if "digest" in text or "NAME" in text else 1
    assert len(client.search_runs([experiment], text)) >= expected


@pytest.mark.parametrize("text", strings(MODEL_SEARCHES))
def test_a_search_for_models_is_one_that_mlflow_takes(documented: None, text: str) -> None:
    client, experiment = open_store()
    assert len(client.search_logged_models([experiment], text)) >= (0 if "..." in text else 1)


def test_the_columns_of_the_page_are_those_of_the_view() -> None:
    assert set(COLUMNS) <= set(re.findall(r"`([1-5]_\w+/\w+)`", PAGE))
