"""The reward model: a generator with a score head that tells the better of two queries of a document (TRL).

Loss: ``-log sigmoid(V(d, q+) - V(d, q-)) + c (V(d, q+) + V(d, q-))^2``; the second term keeps scores centred.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tandem.generators.base import load_generator, resolve_generator, save_generator
from tandem.generators.prompts import completion_text, render_prompts
from tandem.generators.trainers import epoch_settings, preference_rows, train_whole
from tandem.records import PreferencePair
from tandem.runtime.distributed import world_size
from tandem.runtime.lora import adapter_config, merge_adapter
from tandem.runtime.weights import refuse_new_weights
from tandem.text import count_words

__all__ = [
    "Reward",
    "RewardFit",
    "fit_reward_model",
    "load_reward_model",
    "pair_accuracy",
    "reward_function",
    "train_reward_model",
]

Reward = Callable[[Sequence[str], Sequence[str]], list[float]]


@dataclass(frozen=True, slots=True)
class RewardFit:
    """The merged model, its loss as (step, loss), and the largest difference that merging made to a score."""

    model: Any
    loss: list[tuple[int, float]]
    merge_difference: float


def load_reward_model(path: str, tokenizer: Any, *, device: str = "cpu", bf16: bool = False, new_head: bool = False) -> Any:
    """A sequence classifier with one score, from a trained reward model; or, with a ``new_head``, from a generator, to be trained.

    Raises:
        ValueError: it has no head, and none may be new.
    """
    from transformers import AutoModelForSequenceClassification

    with refuse_new_weights(path, instead="take a reward model that was trained (stage train_reward_model)", head=new_head):
        model = AutoModelForSequenceClassification.from_pretrained(
            resolve_generator(path), num_labels=1, dtype=torch.bfloat16 if bf16 else torch.float32
        )
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model.to(device)


def train_reward_model(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[PreferencePair],
    documents: Mapping[str, str],
    *,
    template: str,
    max_document_tokens: int,
    epochs: float,
    batch_size: int,
    learning_rate: float,
    center_coefficient: float,
    lora_rank: int,
    lora_alpha: int,
    lora_dropout: float,
    scratch: Path,
    bf16: bool,
    seed: int,
) -> RewardFit:
    """Train an adapter and the score head on preference pairs, then merge.

    Args:
        model: from :func:`load_reward_model`.
        tokenizer: the generator's.
        pairs: training pairs.
        documents: text by doc_id.
        template: of the prompt; keywords stay empty, for a reward is of document and query alone.
        max_document_tokens: the document is cut, the query never.
        epochs: passes over the pairs.
        batch_size: pairs a step and device.
        learning_rate: peak; cosine decay.
        center_coefficient: c above.
        lora_rank: of the adapter.
        lora_alpha: its scale is alpha over rank.
        lora_dropout: on the adapter's input.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of order and of the head.
    """
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    rows = preference_rows(pairs, documents, tokenizer, template=template, max_document_tokens=max_document_tokens)
    settings = RewardConfig(
        **epoch_settings(
            rows=len(rows),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            scratch=scratch,
            cpu=model.device.type == "cpu",
            bf16=bf16,
            seed=seed,
        ),
        center_rewards_coefficient=center_coefficient or None,
        logging_steps=max(round(epochs * len(rows) / (batch_size * world_size()) / 30), 1),
    )
    torch.manual_seed(seed)
    trainer = RewardTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=adapter_config(rank=lora_rank, alpha=lora_alpha, dropout=lora_dropout, task="SEQ_CLS"),
    )
    train_whole(trainer, scratch)
    example = tokenizer([rows[0]["prompt"] + rows[0]["chosen"]], return_tensors="pt").to(model.device)
    merged, difference = merge_adapter(trainer.model, {key: example[key] for key in ("input_ids", "attention_mask")})
    history = trainer.state.log_history
    return RewardFit(merged, [(row["step"], row["loss"]) for row in history if "loss" in row], difference)


def reward_function(model: Any, tokenizer: Any, *, template: str, max_document_tokens: int, batch_size: int = 64) -> Reward:
    """A trained reward model as a function of documents and queries, in the order given."""
    model.eval()
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters

    def reward(documents: Sequence[str], queries: Sequence[str]) -> list[float]:
        prompts = render_prompts(
            documents,
            [""] * len(documents),
            tokenizer,
            template=template,
            max_document_tokens=max_document_tokens,
        )
        ended = [completion_text(query, tokenizer) + tokenizer.eos_token for query in queries]
        texts = [prompt + query for prompt, query in zip(prompts, ended, strict=True)]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        scores = [0.0] * len(texts)
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            batch = tokenizer([texts[i] for i in part], return_tensors="pt", padding=True).to(model.device)
            mask = batch["attention_mask"]
            # Counted from a text's own first token: a model with absolute positions would else read a padded text differently.
            places = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)} if takes_positions else {}
            with torch.inference_mode():
                logits = model(input_ids=batch["input_ids"], attention_mask=mask, **places).logits
            for i, score in zip(part, logits[:, 0].float().tolist(), strict=True):
                scores[i] = score
        return scores

    return reward


def pair_accuracy(pairs: Sequence[PreferencePair], documents: Mapping[str, str], reward: Reward) -> dict[str, float]:
    """How often the reward prefers the chosen query: over all pairs, of each kind, and for one that prefers the longer query.

    Returns:
        ``accuracy``, ``accuracy_<kind>`` and ``accuracy_of_length`` (ties count a half), or nothing where there is no pair.
    """
    if not pairs:
        return {}
    texts = [documents[pair.doc_id] for pair in pairs]
    chosen, rejected = reward(texts, [p.chosen for p in pairs]), reward(texts, [p.rejected for p in pairs])
    wins = [_win(a, b) for a, b in zip(chosen, rejected, strict=True)]
    lengths = [_win(count_words(p.chosen), count_words(p.rejected)) for p in pairs]
    result = {"accuracy": sum(wins) / len(wins), "accuracy_of_length": sum(lengths) / len(lengths)}
    for kind in sorted({pair.kind for pair in pairs}):
        own = [win for win, pair in zip(wins, pairs, strict=True) if pair.kind == kind]
        result[f"accuracy_{kind}"] = sum(own) / len(own)
    return result


def _win(a: float, b: float) -> float:
    return 1.0 if a > b else 0.5 if a == b else 0.0


def fit_reward_model(
    generator: Path,
    pairs: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair],
    documents: Mapping[str, str],
    folder: Path,
    *,
    template: str,
    document_tokens: int,
    min_accuracy: float,
    min_pairs: int,
    device: str,
    **settings: Any,
) -> tuple[list[tuple[int, float]], dict[str, Any]]:
    """Train a reward model from a generator, write it, and decide by held-out accuracy whether PPO may use it.

    Args:
        generator: folder of the merged policy.
        pairs: to train on; with fewer than ``min_pairs`` the model is written untrained and the gate stays shut.
        held_out: pairs of other documents.
        documents: text by doc_id.
        folder: to write the model and its tokenizer into.
        template: of the prompt.
        document_tokens: of a document in the prompt.
        min_accuracy: on the held-out pairs, for the gate to open.
        min_pairs: see ``pairs``.
        device: to train on.
        settings: of :func:`train_reward_model`.

    Returns:
        The loss as (step, loss), and the gate: ``passed``, the accuracies and the number of pairs.
    """
    _, tokenizer = load_generator(str(generator))
    torch.manual_seed(settings["seed"])  # the score head is new, and drawn when the model is loaded
    model = load_reward_model(str(generator), tokenizer, device=device, new_head=True)
    shape: dict[str, Any] = {"template": template, "max_document_tokens": document_tokens}
    loss: list[tuple[int, float]] = []
    if len(pairs) >= min_pairs:
        fitted = train_reward_model(model, tokenizer, pairs, documents, **shape, **settings)
        model, loss = fitted.model, fitted.loss
    accuracy = pair_accuracy(held_out, documents, reward_function(model, tokenizer, **shape))
    passed = bool(loss) and accuracy.get("accuracy", 0.0) >= min_accuracy
    save_generator(model, tokenizer, folder)
    return loss, {"passed": passed, "pairs": len(pairs), "held_out_pairs": len(held_out), **accuracy}
