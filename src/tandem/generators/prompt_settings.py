"""Settings of the prompt that fine-tuning, sampling, rewards and policy optimisation share."""

from __future__ import annotations

from tandem.settings import CountOrZero, Settings, Tokens
from tandem.text import Language

__all__ = ["PromptSettings", "PromptedSettings"]


class PromptSettings(Settings):
    """The one prompt of fine-tuning, sampling, rewards and policy optimisation."""

    template: str
    """holds {document}, and {keywords} where the query is to be guided"""
    document_tokens: Tokens
    """of the document; it is cut before the query ever is"""
    keywords: CountOrZero
    """words of the document that a prompt offers, at most; 0 for none"""
    ignored_words: list[str]
    """that a prompt never offers: what every document of this corpus has"""


class PromptedSettings(Settings):
    """The prompt, and the language that its keywords are taken from."""

    prompt: PromptSettings
    language: Language
