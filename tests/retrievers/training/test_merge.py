"""The average of two sets of weights: its ends to the bit, its middle by hand, its share by dev queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import retriever_settings

from tandem.retrievers.retriever import build_retriever, save_retriever
from tandem.retrievers.training.merge import SHARES, average_weights, choose_share, copy_weights, merge_with_start


@pytest.fixture(params=["colbert", "dense"])
def retriever(request: pytest.FixtureRequest, tiny_encoder: Path) -> Any:
    return build_retriever(retriever_settings(tiny_encoder, kind=request.param), seed=1, device="cpu")


def train(model: Any) -> None:
    """Another value for every weight, the projection's included."""
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter += 0.01 * (i + 1)


def test_the_middle_is_the_mean_of_both(retriever: Any) -> None:
    start = copy_weights(retriever)
    train(retriever)
    trained = copy_weights(retriever)
    assert merge_with_start(retriever, start, 0.5, lambda: pytest.fail("not asked")).share == 0.5
    moved = 0
    for name, value in retriever.state_dict().items():
        torch.testing.assert_close(value, (start[name] + trained[name]) / 2 if value.is_floating_point() else trained[name])
        moved += not torch.equal(start[name], trained[name])
    assert moved == len(list(retriever.parameters()))


@pytest.mark.parametrize(("share", "trained_share"), [(0.0, False), (1.0, True)])
def test_either_end_has_its_bytes(retriever: Any, share: float, trained_share: bool, tmp_path: Path) -> None:
    save_retriever(retriever, tmp_path / "start")
    start = copy_weights(retriever)
    train(retriever)
    save_retriever(retriever, tmp_path / "trained")
    merge_with_start(retriever, start, share, lambda: pytest.fail("not asked"))
    save_retriever(retriever, tmp_path / "merged")
    expected = tmp_path / ("trained" if trained_share else "start")
    files = [path.relative_to(expected) for path in expected.rglob("*.safetensors")]
    assert files
    for file in files:
        assert (tmp_path / "merged" / file).read_bytes() == (expected / file).read_bytes()


def test_dev_chooses_and_the_model_has_what_it_chose(retriever: Any) -> None:
    start = copy_weights(retriever)
    train(retriever)
    trained = copy_weights(retriever)
    values: dict[float, list[float]] = {
        0.0: [0.1, 0.2, 0.3],
        0.25: [0.6, 0.7, 0.8],
        0.5: [0.4, 0.5, 0.6],
        0.75: [0.4, 0.5, 0.6],
        1.0: [0.0] * 3,
    }
    asked: list[float] = []

    def dev_score() -> Sequence[float]:
        share = SHARES[len(asked)]
        for name, value in average_weights(start, trained, share).items():
            assert torch.equal(retriever.state_dict()[name], value)
        asked.append(share)
        return values[share]

    merged = merge_with_start(retriever, start, "dev", dev_score)
    assert merged.share == 0.25
    assert merged.dev == pytest.approx({0.0: 0.2, 0.25: 0.7, 0.5: 0.5, 0.75: 0.5, 1.0: 0.0})
    assert asked == list(SHARES)
    for name, value in average_weights(start, trained, 0.25).items():
        assert torch.equal(retriever.state_dict()[name], value)


@pytest.mark.parametrize(
    ("best", "chosen"),
    [
        ([0.6, 0.6, 0.6, 0.6], 1.0),  # +.1 for all four queries: a standard error of 0
        ([0.9, 0.5, 0.5, 0.5], 0.5),  # +.4 for one of four: a mean of .1, a standard error of .1
        ([0.9, 0.9, 0.5, 0.5], 1.0),  # for two of four: .2 with .115
        ([0.5, 0.5, 0.5, 0.5], 0.5),
        ([0.4, 0.4, 0.4, 0.4], 0.5),
    ],
)
def test_half_way_unless_another_is_a_standard_error_better(best: list[float], chosen: float) -> None:
    assert choose_share({0.0: [0.1] * 4, 0.5: [0.5] * 4, 1.0: best}) == chosen


def test_of_equally_good_shares_the_nearest_to_half_way() -> None:
    assert choose_share({0.0: [0.9, 0.9], 0.25: [0.9, 0.9], 0.5: [0.5, 0.5], 0.75: [0.5, 0.5], 1.0: [0.5, 0.5]}) == 0.25


@pytest.mark.parametrize("queries", [0, 1])
def test_too_few_dev_queries_are_no_evidence(queries: int) -> None:
    assert choose_share({0.0: [0.0] * queries, 0.5: [0.2] * queries, 1.0: [1.0] * queries}) == 0.5
