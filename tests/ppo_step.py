"""One PPO update on this process's part of fixed responses: what `test_distributed` compares between one process and two."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from tandem.generators.base import load_generator
from tandem.generators.ppo import PPO, Rollout
from tandem.runtime.distributed import gather, is_main_process, process_rank, world_size

RESPONSES, PROMPT, TOKENS = 8, 4, 6


def main(generator: str, output: str) -> None:
    """Eight responses of one to six tokens, every process takes every n-th of them."""
    model, tokenizer = load_generator(generator)
    size = RESPONSES // world_size()
    ppo = PPO(
        model=model,
        tokenizer=tokenizer,
        reward=lambda documents, _: [float(len(document)) for document in documents],
        batch_size=size,
        minibatch_size=size,
        epochs=1,
        learning_rate=1e-3,
        lora_rank=4,
        lora_alpha=8,
        max_grad_norm=1e9,
        seed=1,
    )
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 40, (RESPONSES, PROMPT + TOKENS), generator=random)
    mask = torch.stack([(torch.arange(TOKENS) <= i % TOKENS).float() for i in range(RESPONSES)])
    advantages, returns = (torch.randn(RESPONSES, TOKENS, generator=random) * mask for _ in range(2))
    part = slice(process_rank(), None, world_size())
    ids, mask, advantages, returns = (whole[part] for whole in (ids, mask, advantages, returns))
    attention = torch.cat([torch.ones(len(ids), PROMPT, dtype=torch.long), mask.long()], 1)
    with torch.no_grad():
        log_probs, values, _ = ppo._evaluate(ids, attention, PROMPT)
    losses = ppo.update(Rollout(ids, attention, PROMPT, mask, log_probs, values, advantages, returns, {}))
    ppo.moments.update(torch.tensor(gather(advantages[:, 0].tolist())))
    gradient = torch.cat([p.grad.flatten() for p in ppo.trained if p.grad is not None])
    moments = [ppo.moments.count, ppo.moments.mean, ppo.moments.variance]
    if is_main_process():
        found = {"processes": world_size(), "gradient": gradient.tolist(), "moments": moments, **losses}
        Path(output).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
