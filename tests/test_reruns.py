"""Which stages a change reruns: derived from dvc.yaml, written into docs/reruns.md, held there by this test.

`TANDEM_UPDATE_DOCS=1 pytest tests/test_reruns.py` writes the table anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from dvc_file import outputs, stages
from ruamel.yaml import YAML

from tandem.runtime.plan import STAGES

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/reruns.md"
UNLISTED = ("inputs", "sync_tracking")  # the first always runs, the second after every other
PARAMETERS = [
    "seed",
    "prompt",
    "retriever",
    "rounds",
    "prepare_corpus",
    "sample_pairs",
    "train_generator",
    "train_filter_encoder",
    "generate_queries",
    "filter_queries",
    "train_retriever",
    "evaluate_retriever",
    "score_difficulty",
    "train_reward_model",
    "improve_generator",
    "compare_rounds",
]
FILES = [
    "src/tandem/generators/ppo.py",
    "src/tandem/generators/queries.py",
    "src/tandem/filters/round_trip.py",
    "src/tandem/retrievers/colbert.py",
    "src/tandem/feedback/preferences.py",
    "src/tandem/evaluation/dev_score.py",
    "src/tandem/evaluation/measures.py",
    "src/tandem/evaluation/significance.py",
    "src/tandem/reporting/page.py",
    "src/tandem/corpora/python_api.py",
    "src/tandem/tracking/sync.py",
]


def reruns(changed: set[str]) -> list[str]:
    """The stages that a change can reach: those that name it, and all that depend on their outputs."""
    everything = stages()
    reached = {n for n, s in everything.items() if changed & ({*s.get("params", []), *s.get("deps", [])})}
    while True:
        written = {path for name in reached for path in outputs(everything[name])}
        more = {
            name
            for name, stage in everything.items()
            if any(
                path == dep or path.startswith(f"{dep}/") or dep.startswith(f"{path}/") for dep in stage.get("deps", []) for path in written
            )
        }
        if more <= reached:
            return [name for name in everything if name in reached and name not in UNLISTED]
        reached |= more


def table() -> str:
    lines = ["| change | stages that rerun |", "|---|---|"]
    total = len(stages()) - len(UNLISTED)
    for name in [*PARAMETERS, *FILES]:
        names = reruns({name})
        text = "all" if len(names) == total else ", ".join(names) or "none"
        lines.append(f"| `{name}` | {text} |")
    return "\n".join(lines)


def test_the_documented_table_is_what_dvc_yaml_says() -> None:
    head, _, tail = DOCUMENT.read_text().partition("<!-- table -->")
    if os.environ.get("TANDEM_UPDATE_DOCS"):
        DOCUMENT.write_text(f"{head}<!-- table -->\n\n{table()}\n")
        return
    assert tail.strip() == table()


def test_a_late_change_reruns_nothing_early() -> None:
    assert reruns({"compare_rounds"}) == ["compare_rounds", "write_report"]
    assert reruns({"src/tandem/generators/ppo.py"})[0] == "generate_queries@r2"
    assert "train_retriever@r1" not in reruns({"improve_generator"})
    assert "train_retriever@r2" in reruns({"improve_generator"})
    assert set(reruns({"train_generator"})) & {"train_filter_encoder", "train_reranker", "index_baselines@colbert"} == set()
    assert reruns({"src/tandem/tracking/sync.py"}) == []
    assert len(reruns({"seed"})) == len(stages()) - len(UNLISTED)


def test_a_round_more_reruns_no_round_before() -> None:
    """`rounds` is a parameter of the comparisons alone; a new round's stages are new names."""
    late = [
        "evaluate_generators",
        "check_leaks",
        "evaluate_fusion",
        "choose_champion",
        "evaluate_reranked",
        "compare_rounds",
        "write_report",
    ]
    assert reruns({"rounds"}) == late


def test_one_more_reported_measure_retrains_nothing() -> None:
    """What training depends on stands in dev_score.py and ranking.py, what is reported in measures.py."""
    reported = reruns({"src/tandem/evaluation/measures.py"})
    assert {name.partition("@")[0] for name in reported} <= {
        "evaluate_baselines",
        "evaluate_retriever_r0",
        "evaluate_retriever",
        "evaluate_expanded",
        "evaluate_fusion",
        "evaluate_reranked",
        "choose_champion",
        "compare_rounds",
        "write_report",
    }
    assert {"evaluate_baselines", "evaluate_retriever@r2", "compare_rounds", "write_report"} <= set(reported)
    assert "train_retriever@r1" in reruns({"src/tandem/evaluation/dev_score.py"})
    assert "train_reranker" in reruns({"src/tandem/evaluation/ranking.py"})
    recipe = stages(ROOT / "recipes/reranker/params.yaml", ROOT / "recipes/reranker/dvc.yaml")
    trainers = {name for name, stage in recipe.items() if "../../src/tandem/evaluation/measures.py" in stage.get("deps", [])}
    assert trainers <= {name for name in recipe if name.startswith(("evaluate_", "compare_"))} != set()


def test_one_more_section_of_the_report_reruns_the_report_alone() -> None:
    assert reruns({"src/tandem/reporting/page.py"}) == ["write_report"]


def test_an_override_of_a_round_reruns_that_stage_of_it_and_what_follows() -> None:
    """`inputs` writes a file for each stage of each round: a round's own temperature is in one of them alone."""
    sampled = reruns({"out/data/inputs/rounds/r2/generate_queries.json"})
    assert sampled[0] == "generate_queries@r2"
    assert not [name for name in sampled if name.endswith(("@r1", "_r0", "@g2"))]
    assert {"train_retriever@r2", "evaluate_retriever@r2"} <= set(sampled)
    evaluated = reruns({"out/data/inputs/rounds/r2/evaluate_retriever.json"})
    assert evaluated[0] == "evaluate_retriever@r2"
    assert "train_retriever@r2" not in evaluated
    improved = reruns({"out/data/inputs/updates/g2/improve_generator.json"})
    assert "improve_generator@g2" in improved
    assert {"train_reward_model@g2", "generate_queries@r1"}.isdisjoint(improved)


def test_every_stage_of_a_round_or_an_update_has_its_overrides() -> None:
    """Of dvc.yaml and of the plan alike: a stage more needs a line in both."""
    pipeline = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    for plan, planned in STAGES.items():
        unrolled = {name: stage["do"] for name, stage in pipeline.items() if stage.get("foreach") == f"${{{plan}}}"}
        assert set(planned) == set(unrolled)
        for name, stage in unrolled.items():
            assert f"out/data/inputs/{plan}/${{key}}/{name}.json" in stage["deps"]
            flags = ("--round ${key}", "--name ${key}") if plan == "rounds" else ("--update ${key}",)
            assert any(flag in stage["cmd"] for flag in flags)
