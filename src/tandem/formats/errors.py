"""The errors of input that cannot be used."""

from __future__ import annotations

__all__ = ["InputError", "ParamsError"]


class InputError(ValueError):
    """Input that cannot be used; the message names the file, the line and what is allowed."""


class ParamsError(ValueError):
    """A value in params.yaml that cannot be used; the message names file, key, value and what is allowed."""
