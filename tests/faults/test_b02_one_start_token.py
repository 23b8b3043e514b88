"""One start token, everywhere: chat templates of Llama 3, Mistral and Gemma begin with it, and their tokenizers add another."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from conftest import QUERIES, TEXTS, prompted
from trl import DPOTrainer, GRPOTrainer, RewardTrainer, RLOOTrainer, SFTTrainer

from tandem.generators.dpo import DPOSettings, optimise_preferences
from tandem.generators.grpo import GroupSettings, optimise_in_groups
from tandem.generators.ppo import PPO, PPOSettings
from tandem.generators.prompts import QueryPrompts, completion_text, render_prompts
from tandem.generators.requests import RequestSettings, plan_requests
from tandem.generators.reward_model import RewardModelSettings, fit_reward_model, load_reward_model
from tandem.generators.rewards import ModelReward, WeightedRewards
from tandem.generators.rollouts import Curriculum, plan_rollouts
from tandem.generators.sft import SFTSettings, fine_tune
from tandem.generators.trainers import preference_rows
from tandem.interfaces import SamplingSettings
from tandem.llm.causal_lm import CausalLM, load_causal_lm, save_causal_lm
from tandem.records import PreferencePair
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

CHAT = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
)
PROMPT: dict[str, Any] = {"template": "about {document} :", "document_tokens": 8, "keywords": 2}
SHAPE: dict[str, Any] = {"template": PROMPT["template"], "max_document_tokens": 8}
PROMPTED = prompted(**PROMPT)
LORA = Lora(rank=2, alpha=4)
EPOCHS: dict[str, Any] = {"epochs": 1, "batch_size": 2, "learning_rate": 1e-3}
SHARED: dict[str, Any] = {"steps": 1, "learning_rate": 1e-3, "kl_coefficient": 0.0, "clip": 0.2, "temperature": 1.0, "max_grad_norm": 1.0}
REWARDS = WeightedRewards({"length": (1.0, lambda queries, _: [float(len(query)) for query in queries])}, cap=1e6)
PAIRS = [PreferencePair(doc_id=n, chosen=QUERIES[n], rejected="plot", kind="valid_over_invalid") for n in list(TEXTS)[:4]]


@pytest.fixture
def chat_generator(tiny_generator: Path, tmp_path: Path) -> Path:
    model, tokenizer = load_causal_lm(str(tiny_generator))
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = CHAT
    save_causal_lm(model, tokenizer, tmp_path / "chat")
    return tmp_path / "chat"


def starts(ids: Any, tokenizer: Any) -> int:
    assert ids[0] == tokenizer.bos_token_id
    return sum(int(i) == tokenizer.bos_token_id for i in ids)


def test_prompts_of_sampling_and_rollouts(chat_generator: Path) -> None:
    model, tokenizer = load_causal_lm(str(chat_generator))
    requests = plan_requests(TEXTS, RequestSettings(sampled_documents=3, queries_per_document=1), PROMPTED, prefix="r1", seed=1)
    prompts = QueryPrompts(tokenizer, PROMPTED.prompt).render_requests(requests, TEXTS)
    rollouts = [prompt.text for prompt in plan_rollouts(TEXTS, dict.fromkeys(TEXTS, 0.5), tokenizer, PROMPTED, seed=1)]
    for text in [*prompts, *rollouts]:
        assert starts(tokenizer(text)["input_ids"], tokenizer) == 1
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=2)
    answers = CausalLM(model, tokenizer, batch_size=2).complete(prompts, sampling, seed=1)
    widths = {len(tokenizer(text, add_special_tokens=False)["input_ids"]) + 1 for text in prompts}
    assert {answer.prompt_tokens for answer in answers} <= widths


def test_plain_prompts_have_it_from_the_tokenizer(tiny_generator: Path) -> None:
    _, tokenizer = load_causal_lm(str(tiny_generator))
    (text,) = render_prompts([TEXTS["sort"]], [""], tokenizer, **SHAPE)
    assert not text.startswith(tokenizer.bos_token)
    assert starts(tokenizer(text)["input_ids"], tokenizer) == 1


def test_a_template_with_a_start_token_of_a_tokenizer_that_adds_none_keeps_it(tiny_generator: Path) -> None:
    from tokenizers import processors

    _, tokenizer = load_causal_lm(str(tiny_generator))
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    tokenizer.chat_template = CHAT
    (text,) = render_prompts([TEXTS["sort"]], [""], tokenizer, **SHAPE)
    assert starts(tokenizer(text)["input_ids"], tokenizer) == 1


def test_every_trainer(chat_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token ids that TRL's trainers are given, and those that PPO and the reward read."""
    seen: dict[str, list[list[int]]] = {}
    _, tokenizer = load_causal_lm(str(chat_generator))

    def stop(self: Any, *_: Any, **__: Any) -> None:
        seen[type(self).__name__] = [
            row[key] for row in self.train_dataset for key in ("input_ids", "prompt_ids", "chosen_ids", "rejected_ids") if key in row
        ]
        raise KeyboardInterrupt

    for trainer in (SFTTrainer, DPOTrainer, RewardTrainer):
        monkeypatch.setattr(trainer, "train", stop)
    compute = Compute(device="cpu", bf16=False, seed=1, scratch=tmp_path)
    model, _ = load_causal_lm(str(chat_generator))
    prompts = render_prompts([TEXTS[p.doc_id] for p in PAIRS], [""] * 4, tokenizer, **SHAPE)
    rows = [{"prompt": prompt, "completion": completion_text(p.chosen, tokenizer)} for prompt, p in zip(prompts, PAIRS, strict=True)]
    with pytest.raises(KeyboardInterrupt):
        fine_tune(model, tokenizer, rows, [], SFTSettings(**EPOCHS, lora=LORA), compute=compute)
    dpo = DPOSettings(**EPOCHS, beta=0.1, loss="sigmoid", label_smoothing=0.0, fine_tuning_weight=0.0)
    pair_rows = preference_rows(PAIRS, TEXTS, QueryPrompts(tokenizer, PROMPTED.prompt))
    with pytest.raises(KeyboardInterrupt):
        optimise_preferences(load_causal_lm(str(chat_generator))[0], tokenizer, pair_rows, [], dpo, lora=LORA, compute=compute)
    settings = RewardModelSettings(**EPOCHS, center_coefficient=0.0, min_accuracy=0.0, min_pairs=1, lora=LORA)
    with pytest.raises(KeyboardInterrupt):
        fit_reward_model(chat_generator, PAIRS, PAIRS, TEXTS, tmp_path / "rm", settings, prompt=PROMPTED.prompt, compute=compute)
    assert set(seen) == {"SFTTrainer", "DPOTrainer", "RewardTrainer"}
    for name, ids in seen.items():
        whole = [row for row in ids if row and (name != "DPOTrainer" or row[0] == tokenizer.bos_token_id)]
        assert len(whole) >= 4
        assert {starts(row, tokenizer) for row in whole} == {1}, name
        assert all(tokenizer.bos_token_id not in row for row in ids if row not in whole)


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_group_rollouts(chat_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: Any) -> None:
    seen: list[list[int]] = []
    trainer = GRPOTrainer if algorithm == "grpo" else RLOOTrainer
    theirs = trainer._generate_single_turn

    def spy(self: Any, prompt_ids: Any, *arguments: Any, **named: Any) -> Any:
        seen.extend(prompt_ids)
        return theirs(self, prompt_ids, *arguments, **named)

    monkeypatch.setattr(trainer, "_generate_single_turn", spy)
    model, tokenizer = load_causal_lm(str(chat_generator))
    prompts = plan_rollouts(TEXTS, dict.fromkeys(TEXTS, 0.5), tokenizer, PROMPTED, seed=1)
    settings = GroupSettings(**SHARED, prompts_per_step=2, responses=2, updates=1, max_new_tokens=3, missing_end_penalty=0.0)
    compute, curriculum = Compute(device="cpu", bf16=False, seed=1, scratch=tmp_path), Curriculum(prompts, "easy_first", 1)
    optimise_in_groups(model, tokenizer, curriculum, REWARDS, settings, algorithm=algorithm, lora=LORA, compute=compute)
    assert seen
    assert {starts(ids, tokenizer) for ids in seen} == {1}


def test_ppo_and_rewards(chat_generator: Path, tmp_path: Path) -> None:
    model, tokenizer = load_causal_lm(str(chat_generator))
    read: list[Any] = []
    judge = load_reward_model(str(chat_generator), tokenizer, new_head=True)
    theirs = judge.forward

    def spy(input_ids: Any = None, **named: Any) -> Any:
        read.extend(input_ids.tolist())
        return theirs(input_ids=input_ids, **named)

    judge.forward = spy
    ModelReward(judge, tokenizer, TEXTS, PROMPTED.prompt)(["sort a table", "plot"], ["sort", "plot"])
    critic: dict[str, Any] = {"score_clip": 4.0, "value_clip": 0.2, "value_coefficient": 0.1, "gamma": 1.0, "lam": 0.95}
    batches: dict[str, Any] = {"batch_size": 2, "minibatch_size": 2, "epochs": 1, "target_kl": None, "max_new_tokens": 32}
    settings = PPOSettings(**SHARED, **critic, **batches, missing_end_penalty=1.0)
    compute = Compute(device="cpu", bf16=False, seed=0, scratch=tmp_path)
    ppo = PPO(model, tokenizer, REWARDS, settings, lora=LORA, compute=compute)
    prompts = plan_rollouts(TEXTS, dict.fromkeys(list(TEXTS)[:2], 0.5), tokenizer, PROMPTED, seed=1)
    rollout = ppo.roll_out(prompts)
    read += [
        ids[mask.bool()].tolist()
        for ids, mask in zip(rollout.ids[:, : rollout.prompt_tokens], rollout.attention, strict=False)
        for mask in [mask[: rollout.prompt_tokens]]
    ]
    for ids in read:
        text = [i for i in ids if i != tokenizer.pad_token_id]
        assert starts(text, tokenizer) == 1
