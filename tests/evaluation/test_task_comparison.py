"""Retrievers of tasks side by side: tests by task, Holm over systems, and a choice that nothing speaks against."""

from __future__ import annotations

import pytest

from tandem.evaluation.task_comparison import TaskCompareSettings, choose_retriever, compare_tasks, task_table
from tandem.settings import SettingError

SETTINGS = TaskCompareSettings(baseline="untrained", alpha=0.05, resamples=2000, seed=1)


def values(**systems: float) -> dict[str, dict[str, dict[str, float]]]:
    """Of 40 queries of a task, all alike but for a little, by system."""
    return {name: {"qa": {str(i): value + 0.001 * (i % 3) for i in range(40)}} for name, value in systems.items()}


def test_every_task_is_tested_by_itself() -> None:
    found = values(bm25=0.5, untrained=0.5, mine=0.6)
    found["bm25"]["tool"] = {"a": 1.0}
    results = compare_tasks(found, SETTINGS)
    assert [(result.system, result.task) for result in results] == [("bm25", "qa"), ("untrained", "qa"), ("mine", "qa")]
    by_system = {result.system: result for result in results}
    assert by_system["untrained"].test is None
    assert by_system["mine"].test is not None
    assert by_system["mine"].test.difference == pytest.approx(0.1)
    assert by_system["mine"].p_holm == pytest.approx(2 * by_system["mine"].test.p_randomisation)
    text = task_table(results, {"qa": "ndcg_at_10"})
    assert "| mine | 0.601 (+0.100*) |" in text
    assert "| bm25 | 0.501 (+0.000) |" in text
    with pytest.raises(SettingError, match="baseline: 'none' found, allowed: bm25, untrained, mine"):
        compare_tasks(found, SETTINGS.model_copy(update={"baseline": "none"}))


def test_who_is_worse_on_one_task_is_not_chosen() -> None:
    """``high`` gains most in the mean, and loses on tool: ``low`` is taken. Without it, the baseline is."""
    dev = values(untrained=0.5, high=0.9, low=0.6)
    for name, other in values(untrained=0.5, high=0.4, low=0.5).items():
        dev[name]["tool"] = other["qa"]
    choice = choose_retriever(dev, ["high", "low"], SETTINGS)
    assert choice.chosen == "low"
    assert choice.worse_on == {"high": ["tool"], "low": []}
    assert choice.gains == {"high": pytest.approx(0.15), "low": pytest.approx(0.05)}
    assert choose_retriever(dev, ["high"], SETTINGS).chosen == "untrained"
