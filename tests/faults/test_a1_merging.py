"""Every stage that trains an adapter, in both precisions: what is saved answers as the adapter did, in float32.

The check once compared an adapter under the trainer's bfloat16 autocast with a merged model without it, and ended every run on a processor
that has bfloat16.
"""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.utils import extract_model_from_parallel
from conftest import QUERIES, TEXTS, prompted
from makers import compute_in, ranking_settings, schedule_settings
from safetensors.torch import load_file

from tandem.generators import trainers
from tandem.generators.dpo import DPOSettings
from tandem.generators.grpo import GroupSettings
from tandem.generators.improvement import Feedback, ImprovementSettings, RewardSources, improve_generator
from tandem.generators.ppo import PPOSettings
from tandem.generators.reward_model import RewardModelSettings, fit_reward_model, load_reward_model
from tandem.generators.rewards import RewardSettings
from tandem.generators.sft import SFTSettings, fine_tune_on_pairs
from tandem.llm.causal_lm import load_causal_lm
from tandem.records import Document, LabelledPair, PreferencePair
from tandem.rerankers import pair_scorer
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.rerankers.training import train_reranker
from tandem.runtime import lora as adapters
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

LORA = Lora(rank=4, alpha=8)
PAIRS = [
    PreferencePair(doc_id=name, chosen=QUERIES[name], rejected=QUERIES[other], kind="valid_over_invalid")
    for name in QUERIES
    for other in list(QUERIES)[:2]
    if other != name
]
both_precisions = pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])


@pytest.fixture
def adapter_outputs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the trained model answers in float32 just before its adapter is merged, on the inputs that merging is checked on."""
    seen: dict[str, Any] = {}

    def spy(model: Any, example: Any, **settings: Any) -> Any:
        copied = extract_model_from_parallel(copy.deepcopy(model), keep_fp32_wrapper=False).float().eval()
        with torch.no_grad():
            output = copied(**example)
        values = output.logits if "logits" in output else output.last_hidden_state
        seen.update(example={name: value.cpu() for name, value in example.items()}, values=values.cpu())
        merged, seen["difference"] = adapters.merge_adapter(model, example, **settings)
        return merged, seen["difference"]

    for module in (trainers, pair_scorer):
        monkeypatch.setattr(module, "merge_adapter", spy)
    return seen


def assert_saved(folder: Path, model: Any, seen: dict[str, Any], start: Any) -> None:
    weights = load_file(folder / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    with torch.no_grad():
        values, before = (each.cpu().eval()(**seen["example"]) for each in (model, start))
    values, before = (output.logits if "logits" in output else output.last_hidden_state for output in (values, before))
    scale = max(1.0, float(seen["values"].abs().max()))
    torch.testing.assert_close(values, seen["values"], atol=1e-4 * scale, rtol=0)
    assert float((values - before).abs().max()) > 1e-3  # it has learnt something


@both_precisions
def test_sft(tiny_generator: Path, tmp_path: Path, adapter_outputs: dict[str, Any], device: str, bf16: bool) -> None:
    fine_tune_on_pairs(
        [Document(doc_id=name, text=text) for name, text in TEXTS.items()],
        [LabelledPair(query_id=name, text=text, doc_id=name) for name, text in QUERIES.items()],
        [],
        tmp_path / "model",
        SFTSettings(epochs=4, batch_size=2, learning_rate=1e-2, lora=LORA),
        base=str(tiny_generator),
        prompted=prompted(),
        compute=Compute(device=device, bf16=bf16, seed=1, scratch=tmp_path / "scratch"),
    )
    assert_saved(tmp_path / "model", load_causal_lm(str(tmp_path / "model"))[0], adapter_outputs, load_causal_lm(str(tiny_generator))[0])


@both_precisions
def test_reward_model(tiny_generator: Path, tmp_path: Path, adapter_outputs: dict[str, Any], device: str, bf16: bool) -> None:
    values: dict[str, Any] = {"epochs": 4, "batch_size": 4, "learning_rate": 1e-2, "center_coefficient": 0.01}
    _, gate = fit_reward_model(
        tiny_generator,
        PAIRS,
        PAIRS[:3],
        TEXTS,
        tmp_path / "model",
        RewardModelSettings(**values, min_accuracy=0.0, min_pairs=1, lora=LORA),
        prompt=prompted().prompt,
        compute=Compute(device=device, bf16=bf16, seed=1, scratch=tmp_path / "scratch"),
    )
    assert gate["passed"]
    _, tokenizer = load_causal_lm(str(tiny_generator))
    torch.manual_seed(1)
    start = load_reward_model(str(tiny_generator), tokenizer, new_head=True)
    assert_saved(tmp_path / "model", load_reward_model(str(tmp_path / "model"), tokenizer), adapter_outputs, start)


@both_precisions
@pytest.mark.parametrize("algorithm", ["ppo", "rloo", "grpo", "dpo"])
def test_improvements(
    tiny_generator: Path, tmp_path: Path, adapter_outputs: dict[str, Any], algorithm: Any, device: str, bf16: bool
) -> None:
    (tmp_path / "gate.json").write_text(json.dumps({"passed": False}))
    shared: dict[str, Any] = {"learning_rate": 1e-2, "kl_coefficient": 0.05, "clip": 0.2, "temperature": 1.0, "max_new_tokens": 6}
    shared |= {"steps": 2, "max_grad_norm": 1.0}
    critic: dict[str, Any] = {"score_clip": 4.0, "value_clip": 0.2, "value_coefficient": 0.1, "gamma": 1.0, "lam": 0.95}
    settings = ImprovementSettings(
        algorithm=algorithm,
        rewards=RewardSettings(round_trip=1.0, reward_model=0.0, cap=3.0),
        order="easy_first",
        lora_rank=LORA.rank,
        lora_alpha=LORA.alpha,
        ppo=PPOSettings(**shared, **critic, batch_size=8, minibatch_size=4, epochs=1, target_kl=None, missing_end_penalty=1.0),
        group=GroupSettings(**shared, prompts_per_step=2, responses=4, updates=2, missing_end_penalty=0.5),
        dpo=DPOSettings(epochs=2, batch_size=4, learning_rate=1e-2, beta=0.1, loss="sigmoid", label_smoothing=0.0, fine_tuning_weight=0.0),
    )
    improve_generator(
        tiny_generator,
        Feedback(TEXTS, {name: i / 6 for i, name in enumerate(TEXTS)}, PAIRS, []),
        tmp_path / "model",
        settings,
        prompted=prompted(),
        sources=RewardSources(
            lambda: lambda queries, _: [float("table" in query) + len(query) / 100 for query in queries],
            tmp_path / "none",
            tmp_path / "gate.json",
        ),
        compute=Compute(device=device, bf16=bf16, seed=1, scratch=tmp_path),
    )
    assert_saved(tmp_path / "model", load_causal_lm(str(tmp_path / "model"))[0], adapter_outputs, load_causal_lm(str(tiny_generator))[0])


@both_precisions
@pytest.mark.parametrize("kind", ["yes_no", "head"])
def test_llm_reranker(
    tiny_generator: Path, tiny_tokenizer: Any, tmp_path: Path, adapter_outputs: dict[str, Any], kind: Any, device: str, bf16: bool
) -> None:
    form = PairFormat(kind=kind, max_length=48, max_query_length=16, yes="table", no="line")
    reranker = Reranker(str(tiny_generator), form, new_head=True)
    start = copy.deepcopy(reranker.scorer.auto_model)
    better = itertools.count()  # so that the last checkpoint is chosen
    rows = [(QUERIES[n], [(TEXTS[n], 1.0), *((TEXTS[other], 0.0) for other in TEXTS if other != n)]) for n in TEXTS]
    train_reranker(
        reranker,
        rows,
        ranking_settings(steps=6, batch_size=2, documents_per_query=3, learning_rate=1e-2, lora=Lora(rank=4, alpha=8)),
        schedule_settings(warmup_ratio=0.0, evaluations=1),
        dev_score=lambda _: [float(next(better))],
        compute=compute_in(tmp_path / "scratch", bf16=bf16),
    )
    reranker.save(tmp_path / "model")
    assert_saved(tmp_path / "model", Reranker(str(tmp_path / "model")).scorer.auto_model, adapter_outputs, start)
    pairs = [(QUERIES["sort"], TEXTS["sort"]), (QUERIES["plot"], TEXTS["mean"])]
    assert Reranker(str(tmp_path / "model")).compute_score(pairs) == pytest.approx(reranker.compute_score(pairs), abs=1e-5)
