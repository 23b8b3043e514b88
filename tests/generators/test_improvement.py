"""One improvement: what has nothing to learn from stays as it is, and curves with gaps are summed up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TEXTS
from safetensors.torch import load_file

from tandem.generators.improvement import improve_generator, mean_of_last
from tandem.generators.prompts import DEFAULT_TEMPLATE
from tandem.records import PreferencePair

PAIRS = [PreferencePair(doc_id=name, chosen="sort the rows", rejected="draw", kind="valid_over_invalid") for name in TEXTS]
DPO = {"batch_size": 2, "learning_rate": 1e-2, "beta": 0.1, "loss": "sigmoid", "label_smoothing": 0.0, "fine_tuning_weight": 0.0}


@pytest.mark.parametrize(
    ("algorithm", "pairs", "epochs", "changed"),
    [("dpo", PAIRS, 1, True), ("dpo", [], 1, False), ("dpo", PAIRS, 0, False), ("grpo", PAIRS, 1, False)],
    ids=["pairs", "no_pairs", "no_epochs", "no_reward"],
)
def test_what_there_is_nothing_to_learn_from_stays(
    tiny_generator: Path, tmp_path: Path, algorithm: str, pairs: list[PreferencePair], epochs: int, changed: bool
) -> None:
    (tmp_path / "gate.json").write_text(json.dumps({"passed": False}))
    rewards = {"reward_model": 0.0, "round_trip": 0.0, "cap": 3.0}
    group: dict[str, Any] = {"steps": 1}
    history = improve_generator(
        tiny_generator,
        tmp_path,
        tmp_path / "gate.json",
        pairs,
        [],
        TEXTS,
        dict.fromkeys(TEXTS, 0.5),
        tmp_path / "model",
        prompt={"template": DEFAULT_TEMPLATE, "document_tokens": 32, "keywords": 2},
        algorithm=algorithm,
        rewards=rewards,
        round_trip=None,
        order="easy_first",
        lora_rank=4,
        lora_alpha=8,
        ppo={},
        group=group,
        dpo={**DPO, "epochs": epochs},
        scratch=tmp_path / "scratch",
        device="cpu",
        bf16=False,
        seed=1,
    )
    assert bool(history) is changed
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_generator, tmp_path / "model"))
    assert any(not torch.equal(before[name], after[name]) for name in before) is changed


def test_the_mean_of_the_last_quarter_passes_over_gaps() -> None:
    """Eight rewards, of which the last two count; two held-out values, of which the last."""
    history = [{"step": float(i), "reward": float(i)} for i in range(8)]
    history[3]["held_out"] = 0.5
    history[7]["held_out"] = 1.0
    found = mean_of_last(history)
    assert found == {"steps": 8.0, "reward": 6.5, "first_reward": 0.5, "held_out": 1.0, "first_held_out": 0.5}
    assert mean_of_last([]) == {"steps": 0.0}
