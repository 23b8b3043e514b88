"""Pretrain the built-in generator: a small Llama that writes the summary of a document, seeded, logged, resumable.

Loss: cross-entropy of the target plus ``document_loss_weight`` times that of the document. The weights kept are the mean
of the last checkpoints (Izmailov et al., 2018), which a cosine schedule alone does not reach in so few steps. Training goes in
legs: each starts from the mean weights of the one before, with a new optimiser and a warm restart of the schedule (Loshchilov &
Hutter, 2017), so that a trained model can be trained further without its first steps being run again.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import torch
from settings import read_section
from tasks import make_example
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tandem.generators.keywords import document_frequencies
from tandem.generators.prompts import DEFAULT_TEMPLATE
from tandem.llm.prompts import truncate_documents
from tandem.tracking.record import record

POOL = 4


def main(argv: list[str] | None = None) -> None:
    """Train on the collected text; write the model folder and the loss curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "text", "tokenizer", "output", "curve", "scratch", "record"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args(argv)
    options = read_section(arguments.params, "pretrain")
    device = options.pop("device")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = [json.loads(line) for line in arguments.text.read_text(encoding="utf8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    with record("pretrain", {**options, "device": device}, arguments.record) as tracked:
        model, curve = train(rows, tokenizer, options, device, arguments.scratch)
        model.half().save_pretrained(arguments.output)
        tokenizer.save_pretrained(arguments.output)
        arguments.curve.write_text(json.dumps(curve) + "\n")
        for name in ("query_loss", "document_loss"):
            tracked.log_series(name, [(point["step"], point[name]) for point in curve])


def build_model(tokenizer: PreTrainedTokenizerFast, options: dict[str, Any]) -> LlamaForCausalLM:
    """A Llama with random weights, tied embeddings and the shape that params.yaml gives."""
    size = options["hidden_size"]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size,
        intermediate_size=size * 8 // 3 // 16 * 16,
        num_hidden_layers=options["layers"],
        num_attention_heads=options["heads"],
        num_key_value_heads=options["heads"],
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(options["seed"])
    return LlamaForCausalLM(config)


def batch(
    step: int,
    rows: list[dict[str, str]],
    frequencies: dict[str, int],
    tokenizer: PreTrainedTokenizerFast,
    options: dict[str, Any],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The batch of a step, from the step number alone: ids (batch, length), target mask and document mask.

    Four batches' worth of examples are drawn together and parted by length, which halves the padding.
    """
    pool, part = divmod(step, POOL)
    rng = random.Random(f"{options['seed']}:{pool}")
    shares = (options["summary_share"], options["cloze_share"])
    examples = []
    while len(examples) < POOL * options["batch_size"]:
        example = make_example(rng.choice(rows), frequencies, rng=rng, shares=shares)
        if example:
            examples.append(example)
    documents = truncate_documents([e.document for e in examples], tokenizer, options["document_tokens"])
    prompts = [
        DEFAULT_TEMPLATE.replace("Query:", f"{e.label}:").replace("{keywords}", e.keywords).replace("{document}", text)
        for e, text in zip(examples, documents, strict=True)
    ]
    first = tokenizer(prompts)["input_ids"]
    second = tokenizer([f" {e.target}" for e in examples], add_special_tokens=False)["input_ids"]
    second = [[*ids[: options["query_tokens"]], tokenizer.eos_token_id] for ids in second]
    pairs = sorted(zip(first, second, strict=True), key=lambda pair: len(pair[0]) + len(pair[1]))
    parts = [pairs[i * options["batch_size"] : (i + 1) * options["batch_size"]] for i in range(POOL)]
    pairs = parts[rng.sample(range(POOL), POOL)[part]]
    length = max(len(a) + len(b) for a, b in pairs)
    ids = torch.full((len(pairs), length), tokenizer.pad_token_id)
    target, document = torch.zeros_like(ids, dtype=torch.bool), torch.zeros_like(ids, dtype=torch.bool)
    for i, (a, b) in enumerate(pairs):
        ids[i, : len(a) + len(b)] = torch.tensor(a + b)
        target[i, len(a) : len(a) + len(b)] = True
        document[i, 3 : len(a)] = True
    return ids, target, document


def train(
    rows: list[dict[str, str]],
    tokenizer: PreTrainedTokenizerFast,
    options: dict[str, Any],
    device: str,
    scratch: Path,
) -> tuple[LlamaForCausalLM, list[dict[str, float]]]:
    """Train for the given steps, from the last checkpoint in ``scratch`` if there is one; the averaged model, the curve."""
    frequencies = document_frequencies(f"{row['summary']} {row['body']}" for row in rows)
    model = build_model(tokenizer, options).to(device)
    optimizer = new_optimizer(model, options)
    step, curve, averaged = 0, [], []
    checkpoint = scratch / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        if state["optimizer"]:
            optimizer.load_state_dict(state["optimizer"])
        step, curve, averaged = state["step"], state["curve"], state["averaged"]
    legs, began = options["legs"], time.monotonic()
    bar = tqdm(initial=step, total=sum(legs), desc="pretraining", mininterval=30)
    for leg, steps in enumerate(legs):
        first = sum(legs[:leg])
        for step in range(max(step, first), first + steps):  # noqa: B020 - the step counts over all legs
            for group in optimizer.param_groups:
                group["lr"] = options["learning_rate"] * schedule(step - first, steps)
            ids, target, document = (t.to(device) for t in batch(step, rows, frequencies, tokenizer, options))
            point = train_step(model, optimizer, ids, target, document, options["document_loss_weight"])
            bar.update()
            done = step + 1 - first
            if done % 20 == 0:
                curve.append({"step": step + 1, **point, "seconds": round(time.monotonic() - began, 1)})
            if done > steps - 100 * options["averaged_checkpoints"] and (steps - done) % 100 == 0:
                averaged.append({k: v.detach().cpu().clone() for k, v in model.state_dict().items()})
            if done == steps:
                model.load_state_dict({k: torch.stack([a[k].float() for a in averaged]).mean(0) for k in averaged[0]})
                optimizer, averaged = new_optimizer(model, options), []
            if done % 200 == 0 or done == steps:
                save(checkpoint, model, optimizer, step + 1, curve, averaged)
        step = max(step, first + steps)
    return model.cpu(), curve


def new_optimizer(model: LlamaForCausalLM, options: dict[str, Any]) -> torch.optim.AdamW:
    """AdamW that decays matrices alone."""
    decay = [p for p in model.parameters() if p.dim() > 1]
    other = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": options["weight_decay"]}, {"params": other, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95))


def train_step(
    model: LlamaForCausalLM,
    optimizer: torch.optim.AdamW,
    ids: torch.Tensor,
    target: torch.Tensor,
    document: torch.Tensor,
    document_loss_weight: float,
) -> dict[str, float]:
    """One optimiser step; both losses before it."""
    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=ids.device.type == "cuda"):
        query_loss, document_loss = losses(model, ids, target, document)
    (query_loss + document_loss_weight * document_loss).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"query_loss": query_loss.item(), "document_loss": document_loss.item()}


def losses(model: LlamaForCausalLM, ids: torch.Tensor, target: torch.Tensor, document: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy of the target tokens and of every second document token (the output layer is a third of the cost).

    Padding stands on the right of a causal model, so no attention mask is needed.
    """
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    every_second = torch.arange(1, ids.shape[1], device=ids.device) % 2 == 0
    values = []
    for mask in (target[:, 1:], document[:, 1:] & every_second):
        logits = model.lm_head(hidden[mask]).float()
        values.append(cross_entropy(logits, ids[:, 1:][mask]))
    return values[0], values[1]


def schedule(step: int, steps: int, warmup: int = 200) -> float:
    """Linear warm-up, then cosine to a tenth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))


def save(path: Path, model: Any, optimizer: Any, step: int, curve: list[Any], averaged: list[Any]) -> None:
    """Write a checkpoint whole: to a neighbour first, then renamed."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "curve": curve}
    torch.save({**state, "averaged": averaged}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


if __name__ == "__main__":
    main()
