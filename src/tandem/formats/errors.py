"""The errors of input and of settings that cannot be used."""

from __future__ import annotations

__all__ = ["InputError", "SettingError"]


class InputError(ValueError):
    """Input that cannot be used; the message names the file, the line and what is allowed."""


class SettingError(InputError):
    """A value of settings that cannot be used; the message begins with its key, before which a stage puts the name of its section."""
