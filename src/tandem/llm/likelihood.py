"""How likely a causal language model finds a text after another, in batches; what prompts have in common is computed once.

**Which tokens are the completion's.** The prompt's tokens are those of the prompt alone, special tokens in front included: what the model
reads when it samples. Prompt and completion are tokenised as one text as well; where that begins with the prompt's tokens, and the last of
them ends with the prompt, the completion's are the rest. Where it does not, a token would straddle the border (an unknown word that goes on
is the same token), and the completion is tokenised by itself, without special tokens. So every character of the completion is in exactly
one of its tokens, and none of the prompt's is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from tandem.interfaces import LogLikelihood
from tandem.llm.batches import plan_batches, shared_prefixes
from tandem.llm.decoding import Prefix, prefill
from tandem.llm.prefixes import PrefixCache

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["score_completions", "split_tokens"]


def split_tokens(
    prompts: Sequence[str], completions: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[list[int]], list[list[int]]]:
    """The token ids of each prompt, and those of its completion after it; the rule stands above.

    Raises:
        ValueError: a completion has no token.
    """
    if not prompts:
        return [], []
    before = tokenizer(list(prompts))["input_ids"]
    texts = [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]
    whole = tokenizer(texts, return_offsets_mapping=tokenizer.is_fast)
    offsets = whole["offset_mapping"] if tokenizer.is_fast else [[(0, 0)] * len(ids) for ids in whole["input_ids"]]
    alone = tokenizer(list(completions), add_special_tokens=False)["input_ids"]
    ends = _added_end(tokenizer)
    first = [ids[: len(ids) - ends] for ids in before]
    rest = [
        ids[len(start) : len(ids) - ends] if _is_parted(start, ids, places, len(prompt)) else by_itself
        for prompt, ids, places, start, by_itself in zip(prompts, whole["input_ids"], offsets, first, alone, strict=True)
    ]
    for prompt, completion, ids in zip(prompts, completions, rest, strict=True):
        if not ids:
            raise ValueError(f"completion {completion!r} found after {prompt[-60:]!r}: it has no token, and only a text has a likelihood")
    return first, rest


def _is_parted(start: Sequence[int], ids: Sequence[int], places: Sequence[tuple[int, int]], border: int) -> bool:
    """Whether the tokens of a whole text begin with these, and the last of these is no longer than the text that they are of."""
    return ids[: len(start)] == start and (not start or places[len(start) - 1][1] <= border)


def _added_end(tokenizer: PreTrainedTokenizerBase) -> int:
    """How many special tokens the tokenizer puts behind a text by itself."""
    ids = tokenizer("a")["input_ids"]
    return int(len(ids) > 1 and ids[-1] == tokenizer.eos_token_id)


def score_completions(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], completions: Sequence[str], *, batch_size: int
) -> Iterator[tuple[list[int], list[LogLikelihood]]]:
    """The log-likelihood of each completion after its prompt, batch by batch; alone or beside others the same, but for rounding.

    Args:
        model: a causal language model; its log-probabilities are taken at temperature 1.
        tokenizer: its tokenizer.
        prompts: whole, as the model reads them.
        completions: with the space that they begin with, where they have one.
        batch_size: pairs at once.

    Yields:
        Places of pairs in the list, and their log-likelihoods.

    Raises:
        ValueError: a completion has no token.
    """
    first, rest = split_tokens(prompts, completions, tokenizer)
    lengths = [len(before) + len(after) for before, after in zip(first, rest, strict=True)]
    prefixes = PrefixCache(model, tokenizer)
    shared = shared_prefixes(prompts, batch_size=batch_size)
    batches = plan_batches(lengths, prompts, shared, range(len(prompts)), batch_size=batch_size)
    for batch in tqdm(batches, desc="scoring", unit="batch", mininterval=1.0):
        before, after = [first[i] for i in batch.indices], [rest[i] for i in batch.indices]
        totals = _score_batch(model, before, after, tokenizer.pad_token_id, prefixes.find(batch.prefix, before))
        yield batch.indices, [LogLikelihood(total, len(tokens)) for total, tokens in zip(totals.tolist(), after, strict=True)]


@torch.inference_mode()
def _score_batch(
    model: PreTrainedModel, prompts: list[list[int]], completions: list[list[int]], pad_token_id: int, prefix: Prefix | None
) -> Tensor:
    """The sum of each completion's log-probabilities, (rows,)."""
    before_last = [ids[:-1] for ids in completions]
    cache, ids, mask = prefill(model, prompts, room=0, pad_token_id=pad_token_id, prefix=prefix, continuations=before_last)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    width = max(map(len, completions))
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=width)
    # Rows end together, so what predicts a row's completion is its last positions.
    targets = torch.tensor([[0] * (width - len(ids)) + ids for ids in completions], device=model.device)
    counted = torch.tensor([[0.0] * (width - len(ids)) + [1.0] * len(ids) for ids in completions], device=model.device)
    log_probs = output.logits[:, -width:].float().log_softmax(-1).gather(2, targets.unsqueeze(2)).squeeze(2)
    totals: Tensor = (log_probs * counted).sum(1)
    return totals
