"""What every prompt goes through: documents cut by a model's tokens, text put into a user's turn where the model has a chat template.

Whoever reads a prompt tokenises it as the tokenizer does by itself, special tokens included: it then begins with one start token, where
the model has any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from tandem.settings import SettingError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Side", "chat_turns", "cut_texts", "truncate_documents", "user_turns"]

Side = Literal["left", "right"]
SPACES = re.compile(r"\s+")
ROLES = ("user", "assistant")


def truncate_documents(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[str]:
    """Each text on one line, cut after ``max_length`` of the tokenizer's tokens (special ones not counted)."""
    return cut_texts([SPACES.sub(" ", text).strip() for text in texts], tokenizer, max_length)


def cut_texts(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int, *, side: Side = "right") -> list[str]:
    """Each text without what is beyond ``max_length`` of the tokenizer's tokens (special ones not counted), in its own characters.

    Nothing is decoded from tokens, which would change what a tokenizer normalises. A character of which some tokens stay stays.

    Args:
        texts: of any length.
        tokenizer: that gives ``offset_mapping``.
        max_length: tokens that stay.
        side: where texts are cut.
    """
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    cut = []
    for text, offsets in zip(texts, encoded["offset_mapping"], strict=True):
        if len(offsets) <= max_length:
            cut.append(text)
        else:
            cut.append(text[: offsets[max_length - 1][1]] if side == "right" else text[offsets[-max_length][0] :])
    return cut


def user_turns(prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Each prompt as a user's turn, up to where the model's answer begins; as it is, where the tokenizer has no chat template."""
    if not getattr(tokenizer, "chat_template", None):
        return list(prompts)
    return chat_turns([[prompt] for prompt in prompts], tokenizer)


def chat_turns(chats: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Each chat as the model reads it, up to where its next answer begins.

    Args:
        chats: what user and model said in turns, the user first and last.
        tokenizer: with a chat template.

    Raises:
        SettingError: it has none.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise SettingError("form", "turns found, but the model has no chat template; set text, or auto")
    start = _added_start(tokenizer)
    texts = []
    for chat in chats:
        turns = [{"role": ROLES[number % 2], "content": content} for number, content in enumerate(chat)]
        texts.append(str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)).removeprefix(start))
    return texts


def _added_start(tokenizer: Any) -> str:
    """The start token that the tokenizer puts before any text by itself, which a chat template that begins with it must not repeat."""
    ids = tokenizer("a")["input_ids"]
    return str(tokenizer.bos_token) if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id] else ""
