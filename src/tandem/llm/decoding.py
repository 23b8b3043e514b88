"""Sampling tokens from a causal language model in batches: a cache that is written in place, finished rows dropped on the way.

``generate`` of transformers copies the whole key-value cache for every token and draws over the whole vocabulary; with a model of a few
million parameters on a CPU that is half of the time (benchmarks/sampling.py). The models themselves, and their cache class, stay
transformers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tandem.interfaces import SamplingSettings

__all__ = ["Prefix", "compute_prefix", "decode", "draw", "end_tokens", "pad_left", "prefill", "shared_beginnings", "uniform_numbers"]

SHARED_SHARE = 0.5  # of two prompts' tokens: from here on their common beginning is computed once
DROP_SHARE = 0.25  # of the rows: when so many have ended, they are dropped; dropping copies the cache


class _InPlaceLayer(DynamicLayer):
    """A layer of the cache with room for what is to come, so that a token is written, not concatenated."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.buffers: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write the new states behind the old ones; the views of all of them."""
        first = self.get_seq_length()
        last = first + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = [states.new_empty(*states.shape[:2], last + self.room, states.shape[3]) for states in (key_states, value_states)]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, first:last] = states
        self.keys, self.values = (buffer[:, :, :last] for buffer in self.buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows."""
        last = self.get_seq_length()
        self.buffers = [buffer[indices] for buffer in self.buffers]
        self.keys, self.values = (buffer[:, :, :last] for buffer in self.buffers)


def draw(logits: Tensor, *, temperature: float, top_k: int, top_p: float, uniform: Tensor | None = None) -> Tensor:
    """One token a row from the tempered distribution, cut to its ``top_k`` likeliest tokens and to its nucleus.

    Args:
        logits: (rows, vocabulary).
        temperature: 0 takes the likeliest token.
        top_k: 0 keeps all tokens.
        top_p: the smallest set of likeliest tokens whose mass reaches it stays; 1 keeps all. The mass is taken after ``top_k``.
        uniform: (rows,), a number from 0 to 1 that decides each row; None draws them.

    Returns:
        Token ids, (rows,).
    """
    if temperature == 0:
        return logits.argmax(-1)
    vocabulary = logits.shape[-1]
    size = min(top_k, vocabulary) if top_k > 0 else vocabulary
    scores, tokens = logits.float() / temperature, None
    if size < vocabulary or top_p < 1:
        scores, tokens = scores.topk(size, dim=-1)
    probabilities = scores.softmax(-1)
    if top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= top_p, 0)
    # Inverse transform in double precision: one uniform number a row. torch.multinomial draws one for each token of the vocabulary,
    # which takes longer than the model's forward pass here.
    mass = probabilities.double().cumsum(-1)
    if uniform is None:
        uniform = torch.rand(len(mass), dtype=mass.dtype, device=mass.device)
    chosen = torch.searchsorted(mass, uniform.unsqueeze(1) * mass[:, -1:], right=True).clamp(max=size - 1)
    return (chosen if tokens is None else tokens.gather(-1, chosen)).squeeze(-1)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Tokens that prompts begin with, and what a model has computed of them: each layer's keys and values, (1, heads, tokens, size)."""

    ids: list[int]
    states: list[tuple[Tensor, Tensor]]


@torch.inference_mode()
def compute_prefix(model: Any, ids: Sequence[int]) -> Prefix | None:
    """Compute a beginning once for all prompts that have it; None where the model's cache holds more than keys and values of all tokens."""
    cache = DynamicCache(config=model.config)
    if not ids or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    tokens = torch.tensor([list(ids)], device=model.device)
    model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prefix(list(ids), [(layer.keys, layer.values) for layer in cache.layers])


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingSettings,
    *,
    pad_token_id: int,
    seeds: Sequence[int] | None = None,
    more_ends: Sequence[int] = (),
    prefix: Prefix | None = None,
) -> Tensor:
    """Sample a response to each prompt, up to an end token of the model's generation config.

    Neighbouring prompts that begin alike, as several queries for one document do, share the computation of their beginning.

    Args:
        model: a causal language model of transformers.
        prompts: token ids of each.
        sampling: see :func:`draw`.
        pad_token_id: fills responses up.
        seeds: of each prompt's draws, which then depend on nothing else in the batch; None takes torch's random state.
        more_ends: tokens that end a response beside those of the generation config.
        prefix: that all prompts begin with, computed before; a prompt's last token is not among its tokens.

    Returns:
        Responses with their end token, (rows, new tokens), padded on the right.
    """
    rows, device, max_new_tokens = len(prompts), model.device, sampling.max_new_tokens
    ends = torch.cat([end_tokens(model), torch.tensor(more_ends, dtype=torch.long, device=device)])
    responses = torch.full((rows, max_new_tokens), pad_token_id, device=device)
    cache, ids, mask = prefill(model, prompts, room=max_new_tokens, pad_token_id=pad_token_id, prefix=prefix)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    active = torch.arange(rows, device=device)
    finished = torch.zeros_like(active, dtype=torch.bool)
    uniforms = None if seeds is None else uniform_numbers(seeds, max_new_tokens).to(device)
    for step in range(max_new_tokens):
        output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
        uniform = None if uniforms is None else uniforms[active, step]
        token = draw(output.logits[:, -1], temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p, uniform=uniform)
        responses[active, step] = token.masked_fill(finished, pad_token_id)
        finished = finished | torch.isin(token, ends)
        if bool(finished.all()):
            return responses[:, : step + 1]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = positions[:, -1:] + 1
        if finished.float().mean() >= DROP_SHARE:
            stay = (~finished).nonzero().squeeze(1)
            cache.batch_select_indices(stay)
            active, mask, positions, token, finished = (t[stay] for t in (active, mask, positions, token, finished))
        ids = token.unsqueeze(1)
    return responses


def uniform_numbers(seeds: Sequence[int], count: int) -> Tensor:
    """Numbers from 0 to 1 in double precision, (seeds, count), each row by its seed, the same on every device."""
    generator = torch.Generator()
    return torch.stack([torch.rand(count, dtype=torch.float64, generator=generator.manual_seed(seed)) for seed in seeds])


def shared_beginnings(prompts: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Groups of neighbouring prompts that begin alike, as (members, tokens in common); a prompt's last token is never among them."""
    groups: list[tuple[int, int]] = []
    for i, prompt in enumerate(prompts):
        if groups:
            members, common = groups[-1]
            first = prompts[i - members]
            limit = min(common, len(prompt) - 1)
            together = next((k for k in range(limit) if prompt[k] != first[k]), limit)
            if together >= SHARED_SHARE * max(len(first), len(prompt)):
                groups[-1] = (members + 1, together)
                continue
        groups.append((1, len(prompt) - 1))
    return groups


def prefill(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    room: int,
    pad_token_id: int,
    prefix: Prefix | None = None,
    continuations: Sequence[Sequence[int]] = (),
) -> tuple[DynamicCache, Tensor, Tensor]:
    """Compute what prompts have in common.

    Args:
        model: a causal language model.
        prompts: token ids of each.
        room: tokens that the cache will have to hold beyond these.
        pad_token_id: fills rows up on the left.
        prefix: that all prompts begin with, computed before.
        continuations: what follows each prompt and is not to be sampled; none where empty.

    Returns:
        The cache of what is shared, the token ids of what is not, (rows, tokens), and the mask over both, (rows, all tokens).
    """
    bodies = [prompt[len(prefix.ids) :] for prompt in prompts] if prefix else prompts
    beginnings: list[list[int]] = []
    index: list[int] = []
    for members, common in shared_beginnings(bodies):
        index += [len(beginnings)] * members
        beginnings.append(list(bodies[len(index) - 1][:common]))
    rests = [list(body[len(beginnings[group]) :]) for body, group in zip(bodies, index, strict=True)]
    if continuations:
        rests = [[*rest, *continuation] for rest, continuation in zip(rests, continuations, strict=True)]
    ids, mask = pad_left(beginnings, pad_token_id, model.device)
    rest_ids, rest_mask = pad_left(rests, pad_token_id, model.device)
    cache = DynamicCache(config=model.config)
    room += rest_ids.shape[1] + (ids.shape[1] if prefix else 0)
    cache.layers = [_InPlaceLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    if prefix:
        for layer, states in zip(cache.layers, prefix.states, strict=True):
            layer.update(*(state.expand(len(beginnings), -1, -1, -1) for state in states))
        mask = torch.cat([mask.new_ones(len(beginnings), len(prefix.ids)), mask], dim=1)
    if width := ids.shape[1]:
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -width:]
        model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    if len(beginnings) < len(prompts):
        cache.batch_select_indices(torch.tensor(index, device=model.device))
    return cache, rest_ids, torch.cat([mask[index], rest_mask], dim=1)


def pad_left(rows: Sequence[Sequence[int]], pad_token_id: int, device: Any) -> tuple[Tensor, Tensor]:
    """Rows of token ids of one length, and their mask."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad_token_id] * (width - len(row)) + list(row) for row in rows], dtype=torch.long, device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], dtype=torch.long, device=device)
    return ids, mask


def end_tokens(model: Any) -> Tensor:
    """The tokens that end a response, from the model's generation config."""
    ends = model.generation_config.eos_token_id
    return torch.tensor(ends if isinstance(ends, list) else [ends], device=model.device)
