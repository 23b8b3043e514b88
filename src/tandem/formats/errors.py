"""The errors of input and of settings that cannot be used."""

from __future__ import annotations

from tandem.settings import SettingError

__all__ = ["InputError", "SettingError"]


class InputError(ValueError):
    """Input that cannot be used; the message names the file, the line and what is allowed."""
