"""DPO on a toy: starts at its reference, learns what is preferred, reports held-out pairs, resumes exactly."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS, prompted

from tandem.generators.dpo import DPOSettings, optimise_preferences
from tandem.generators.prompts import QueryPrompts
from tandem.generators.trainers import preference_rows
from tandem.llm.causal_lm import load_causal_lm
from tandem.records import PreferencePair
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

PAIRS = [
    PreferencePair(doc_id=doc_id, chosen=QUERIES[doc_id], rejected=QUERIES[other], kind="valid_over_invalid")
    for doc_id in QUERIES
    for other in QUERIES
    if other != doc_id
]


SETTINGS = DPOSettings(
    epochs=4,
    batch_size=6,
    learning_rate=1e-2,
    beta=0.1,
    loss="sigmoid",
    label_smoothing=0.0,
    fine_tuning_weight=0.0,
)


def optimise(folder: Path, scratch: Path, **changes: Any) -> tuple[Any, list[dict[str, float]]]:
    model, tokenizer = load_causal_lm(str(folder))
    prompts = QueryPrompts(tokenizer, prompted(document_tokens=32).prompt)
    held_out = preference_rows([pair for pair in PAIRS if pair.doc_id == "plot"], TEXTS, prompts)
    train = preference_rows([pair for pair in PAIRS if pair.doc_id != "plot"], TEXTS, prompts)
    settings, compute = SETTINGS.model_copy(update=changes), Compute(device="cpu", bf16=False, seed=3, scratch=scratch)
    return optimise_preferences(model, tokenizer, train, held_out, settings, lora=Lora(rank=8, alpha=16), compute=compute)


def test_learns_what_is_preferred(tiny_generator: Path, tmp_path: Path) -> None:
    """Policy and reference are one at first: the loss is log 2 and nothing leads. 25 pairs, 6 a step, 4 passes: 20 steps."""
    _, history = optimise(tiny_generator, tmp_path)
    assert history[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert history[0]["reward"] == pytest.approx(0, abs=1e-4)
    assert [row["step"] for row in history] == list(range(1, 21))
    assert history[-1]["loss"] < 0.6
    assert history[-1]["accuracy"] > 0.8
    assert sum("held_out_accuracy" in row for row in history) == 4


@pytest.mark.parametrize(("loss", "first"), [("hinge", 1.0), ("ipo", 25.0)])
def test_other_losses(tiny_generator: Path, tmp_path: Path, loss: str, first: float) -> None:
    """With both log-ratios zero: hinge is max(0, 1 - 0); IPO is (0 - 1 / (2 beta))^2 = 25 for beta .1."""
    _, history = optimise(tiny_generator, tmp_path, loss=loss, epochs=1)
    assert history[0]["loss"] == pytest.approx(first, rel=1e-3)


def test_the_chosen_query_counts_for_itself(tiny_generator: Path, tmp_path: Path) -> None:
    """With weight 1 the loss begins at log 2 plus the chosen query's mean negative log-likelihood."""
    _, history = optimise(tiny_generator, tmp_path, fine_tuning_weight=1.0, epochs=1)
    assert history[0]["loss"] > math.log(2) + 1


def test_resumed_equals_uninterrupted(tiny_generator: Path, tmp_path: Path) -> None:
    from trl import DPOTrainer

    whole, rows = optimise(tiny_generator, tmp_path / "a")
    step = DPOTrainer.training_step
    seen: list[int] = []

    def dies(self: Any, *arguments: Any, **named: Any) -> Any:
        seen.append(1)
        if len(seen) == 8:
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DPOTrainer, "training_step", dies)
        with pytest.raises(KeyboardInterrupt):
            optimise(tiny_generator, tmp_path / "b")
    resumed, again = optimise(tiny_generator, tmp_path / "b")
    assert [row["loss"] for row in again] == [row["loss"] for row in rows]
    first, second = ({name: p for name, p in model.named_parameters() if p.requires_grad} for model in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
