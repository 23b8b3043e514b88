"""The one error of input that cannot be used."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """Input that cannot be used; the message names the file, the line and what is allowed."""
