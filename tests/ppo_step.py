"""One PPO update on this process's part of fixed responses: what `test_distributed` compares between one process and two."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from tandem.generators.ppo import PPO, PPOSettings, Rollout
from tandem.generators.rewards import WeightedRewards
from tandem.llm.causal_lm import load_causal_lm
from tandem.runtime.distributed import gather, is_main_process, process_rank, world_size
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

RESPONSES, PROMPT, TOKENS = 8, 4, 6


def main(generator: str, output: str) -> None:
    """Eight responses of one to six tokens, every process takes every n-th of them."""
    model, tokenizer = load_causal_lm(generator)
    size = RESPONSES // world_size()
    settings = PPOSettings(
        steps=1,
        batch_size=size,
        minibatch_size=size,
        epochs=1,
        learning_rate=1e-3,
        kl_coefficient=0.1,
        target_kl=None,
        temperature=1.0,
        max_new_tokens=32,
        missing_end_penalty=1.0,
        score_clip=4.0,
        clip=0.2,
        value_clip=0.2,
        value_coefficient=0.1,
        gamma=1.0,
        lam=0.95,
        max_grad_norm=1e6,
    )
    rewards = WeightedRewards({"length": (1.0, lambda queries, _: [float(len(query)) for query in queries])}, cap=1e6)
    compute = Compute(device="cpu", bf16=False, seed=1, scratch=Path(output).parent)
    ppo = PPO(model, tokenizer, rewards, settings, lora=Lora(rank=4, alpha=8), compute=compute)
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 40, (RESPONSES, PROMPT + TOKENS), generator=random)
    mask = torch.stack([(torch.arange(TOKENS) <= i % TOKENS).float() for i in range(RESPONSES)])
    advantages, returns = (torch.randn(RESPONSES, TOKENS, generator=random) * mask for _ in range(2))
    rows = slice(process_rank(), None, world_size())
    ids, mask, advantages, returns = (whole[rows] for whole in (ids, mask, advantages, returns))
    attention = torch.cat([torch.ones(len(ids), PROMPT, dtype=torch.long), mask.long()], 1)
    with torch.no_grad():
        now = ppo.policy.evaluate(ids, attention, PROMPT)
    losses = ppo.update(Rollout(ids, attention, PROMPT, mask, now.log_probs, now.values, advantages, returns, {}))
    ppo.moments.update(torch.tensor(gather(advantages[:, 0].tolist())))
    gradient = torch.cat([p.grad.flatten() for p in ppo.trained if p.grad is not None])
    moments = [ppo.moments.count, ppo.moments.mean, ppo.moments.variance]
    if is_main_process():
        result = {"processes": world_size(), "gradient": gradient.tolist(), "moments": moments, **losses}
        Path(output).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
