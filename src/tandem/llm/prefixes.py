"""Beginnings that many prompts share, each computed when the first batch needs it and held until another one is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tandem.llm.decoding import Prefix, compute_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["PrefixCache"]


class PrefixCache:
    """What a model has computed of the beginning that is in use.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.text = ""
        self.prefix: Prefix | None = None

    def find(self, text: str, prompts: Sequence[Sequence[int]]) -> Prefix | None:
        """What has been computed of a text that prompts begin with; None where there is nothing, or their tokens do not begin so.

        Args:
            text: empty for none.
            prompts: token ids, each longer than the text's.
        """
        if text != self.text:
            # What follows may make another token of the last one, and of a word that ends in the middle.
            words = text[: max(text.rfind(" "), text.rfind("\n"), 0)] or text
            ids = self.tokenizer(words)["input_ids"][:-1]
            self.text, self.prefix = text, compute_prefix(self.model, ids)
        if self.prefix is None or any(list(ids[: len(self.prefix.ids)]) != self.prefix.ids for ids in prompts):
            return None
        return self.prefix if all(len(ids) > len(self.prefix.ids) for ids in prompts) else None
