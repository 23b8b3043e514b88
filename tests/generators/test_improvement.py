"""One improvement: what has nothing to learn from stays, rewards are weighed by settings and gate, curves with gaps are summed up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TEXTS, prompted
from safetensors.torch import load_file

from tandem.generators.dpo import DPOSettings
from tandem.generators.examples import draw_examples
from tandem.generators.grpo import GroupSettings
from tandem.generators.improvement import (
    Feedback,
    ImprovementSettings,
    RewardSources,
    improve_generator,
    mean_of_last,
    series_of,
    weigh_rewards,
)
from tandem.generators.ppo import PPOSettings
from tandem.generators.prompts import PromptedSettings, QueryPrompts, read_examples
from tandem.generators.reward_model import load_reward_model
from tandem.generators.rewards import RewardSettings
from tandem.interfaces import Reward
from tandem.llm.causal_lm import load_causal_lm, save_causal_lm
from tandem.records import PreferencePair
from tandem.runtime.hardware import Compute

PAIRS = [PreferencePair(doc_id=name, chosen="sort the rows", rejected="draw", kind="valid_over_invalid") for name in TEXTS]
SHARED: dict[str, Any] = {"learning_rate": 1e-2, "kl_coefficient": 0.05, "clip": 0.2, "temperature": 1.0, "max_new_tokens": 6}
SHARED |= {"missing_end_penalty": 0.5, "max_grad_norm": 1.0}
PPO_ALONE: dict[str, Any] = {"target_kl": None, "score_clip": 4.0, "value_clip": 0.2, "value_coefficient": 0.1, "gamma": 1.0, "lam": 0.95}
SETTINGS = ImprovementSettings(
    algorithm="ppo",
    rewards=RewardSettings(reward_model=0.0, round_trip=0.0, cap=3.0),
    order="easy_first",
    lora_rank=4,
    lora_alpha=8,
    ppo=PPOSettings(steps=2, batch_size=8, minibatch_size=4, epochs=1, **SHARED, **PPO_ALONE),
    group=GroupSettings(steps=1, prompts_per_step=2, responses=4, updates=2, **SHARED),
    dpo=DPOSettings(epochs=1, batch_size=2, learning_rate=1e-2, beta=0.1, loss="sigmoid", label_smoothing=0.0, fine_tuning_weight=0.0),
)


def refuse() -> Reward:
    raise AssertionError("a reward without weight was opened")


def likes_tables(queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
    assert set(doc_ids) <= set(TEXTS)
    return [float("table" in query) + len(query) / 100 for query in queries]


def gate(folder: Path, *, passed: bool) -> Path:
    (folder / "gate.json").write_text(json.dumps({"passed": passed}))
    return folder / "gate.json"


@pytest.mark.parametrize(
    ("algorithm", "pairs", "epochs", "changed"),
    [("dpo", PAIRS, 1, True), ("dpo", [], 1, False), ("dpo", PAIRS, 0, False), ("grpo", PAIRS, 1, False)],
    ids=["pairs", "no_pairs", "no_epochs", "no_reward"],
)
def test_what_there_is_nothing_to_learn_from_stays(
    tiny_generator: Path, tmp_path: Path, algorithm: str, pairs: list[PreferencePair], epochs: int, changed: bool
) -> None:
    settings = SETTINGS.model_copy(update={"algorithm": algorithm, "dpo": SETTINGS.dpo.model_copy(update={"epochs": epochs})})
    history = improve_generator(
        tiny_generator,
        Feedback(TEXTS, dict.fromkeys(TEXTS, 0.5), pairs, []),
        tmp_path / "model",
        settings,
        prompted=prompted(document_tokens=32),
        sources=RewardSources(refuse, tmp_path, gate(tmp_path, passed=False)),
        compute=Compute(device="cpu", bf16=False, seed=1, scratch=tmp_path / "scratch"),
    )
    assert bool(history) is changed
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_generator, tmp_path / "model"))
    assert any(not torch.equal(before[name], after[name]) for name in before) is changed


def test_the_mean_of_each_reward_is_told(tiny_generator: Path, tmp_path: Path) -> None:
    """Both rewards, one of them a model whose head is random: the sum is that of the means, for none reaches the cap."""
    _, tokenizer = load_causal_lm(str(tiny_generator))
    torch.manual_seed(1)
    save_causal_lm(load_reward_model(str(tiny_generator), tokenizer, new_head=True), tokenizer, tmp_path / "reward")
    weights = RewardSettings(reward_model=0.5, round_trip=1.0, cap=1e6)
    history = improve_generator(
        tiny_generator,
        Feedback(TEXTS, dict.fromkeys(TEXTS, 0.5), [], []),
        tmp_path / "model",
        SETTINGS.model_copy(update={"rewards": weights}),
        prompted=prompted(),
        sources=RewardSources(lambda: likes_tables, tmp_path / "reward", gate(tmp_path, passed=True)),
        compute=Compute(device="cpu", bf16=False, seed=1, scratch=tmp_path),
    )
    assert len(history) == 2
    for row in history:
        assert row["reward"] == pytest.approx(row["round_trip_reward"] + 0.5 * row["reward_model_reward"], abs=1e-5)
        assert row["reward_model_reward"] != 0


def test_a_shut_gate_leaves_the_reward_model_out(tiny_generator: Path, tmp_path: Path) -> None:
    _, tokenizer = load_causal_lm(str(tiny_generator))
    sources = RewardSources(lambda: likes_tables, tmp_path / "none", gate(tmp_path, passed=False))
    weights = RewardSettings(reward_model=1.0, round_trip=2.0, cap=3.0)
    with pytest.warns(UserWarning, match="did not pass its gate"):
        rewards = weigh_rewards(weights, sources, tokenizer, TEXTS, prompted().prompt, device="cpu")
    assert dict(rewards.rewards) == {"round_trip": (2.0, likes_tables)}


def test_series_pass_over_gaps() -> None:
    history = [{"step": 1.0, "reward": 0.5}, {"step": 2.0, "reward": 0.6, "held_out": 1.0}]
    assert series_of(history) == {"held_out": [(2, 1.0)], "reward": [(1, 0.5), (2, 0.6)], "step": [(1, 1.0), (2, 2.0)]}
    assert series_of([]) == {"step": []}


def test_the_mean_of_the_last_quarter_passes_over_gaps() -> None:
    """Eight rewards, of which the last two count; two held-out values, of which the last."""
    history = [{"step": float(i), "reward": float(i)} for i in range(8)]
    history[3]["held_out"] = 0.5
    history[7]["held_out"] = 1.0
    assert mean_of_last(history) == {"steps": 8.0, "reward": 6.5, "first_reward": 0.5, "held_out": 1.0, "first_held_out": 0.5}
    assert mean_of_last([]) == {"steps": 0.0}


def test_examples_stay_with_the_generator(tiny_generator: Path, tmp_path: Path) -> None:
    """The improved generator is asked with the examples that it was improved with."""
    model, tokenizer = load_causal_lm(str(tiny_generator))
    save_causal_lm(model, tokenizer, tmp_path / "g1")
    values = prompted().model_dump()
    values["prompt"]["examples"] = {"per_prompt": 2, "query_types": ["question", "title"]}
    settings = PromptedSettings.model_validate(values)
    examples = draw_examples(settings, seed=4)
    QueryPrompts(tokenizer, settings.prompt, examples=examples).save(tmp_path / "g1")
    asked: list[str] = []

    def shorter(queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        asked.extend(doc_ids)
        return [-float(len(query)) for query in queries]

    rewarded = SETTINGS.model_copy(update={"rewards": RewardSettings(reward_model=0.0, round_trip=1.0, cap=3.0)})
    history = improve_generator(
        tmp_path / "g1",
        Feedback(TEXTS, dict.fromkeys(TEXTS, 0.5), [], []),
        tmp_path / "g2",
        rewarded,
        prompted=settings,
        sources=RewardSources(lambda: shorter, tmp_path / "none", tmp_path / "none"),
        compute=Compute("cpu", bf16=False, seed=4, scratch=tmp_path),
    )
    assert len(history) == 2
    assert set(asked) == set(TEXTS)
    assert read_examples(tmp_path / "g2") == examples
