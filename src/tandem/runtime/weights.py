"""Weights that a model's files do not hold are random ones: where nothing is going to train them, the model is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tandem.settings import SettingError

__all__ = ["refuse_new_weights"]

POOLER = re.compile(r"(^|\.)pooler\.")
# What transformers says of a name by which it finds no model: offline, unknown, an empty folder, one without a tokenizer.
NO_MODEL = re.compile(
    r"couldn't connect|couldn't find them in the cached|not a local folder|not a valid model identifier|Unrecognized model|"
    r"Couldn't instantiate the backend tokenizer|does not appear to have a file named|Can't load|Repo id must|no file named|offline mode",
    re.IGNORECASE,
)
SHOWN = 3  # names of weights in an error


@contextmanager
def refuse_new_weights(name: str, *, instead: str, key: str = "", head: bool = False, pooler: bool = False) -> Iterator[None]:
    """Load transformers models inside this block; one whose files lack weights, or have them in another shape, is an error.

    Transformers only reports such weights in its log, and sentence-transformers passes no such report on: so the block listens to
    ``PreTrainedModel.from_pretrained``, which every loader ends in.

    Args:
        name: folder or Hugging Face id, for the error.
        instead: what to use in its place, for the error.
        key: of the setting that the name comes from, where there is one: the error is a :class:`tandem.settings.SettingError` then.
        head: a new head is let pass, for it is about to be trained: whatever stands outside the encoder or decoder itself.
        pooler: a new pooler is let pass, for no score reads it.

    Raises:
        ValueError: there is no model of that name, weights are missing, or of another shape.
    """
    from transformers import PreTrainedModel

    owner: Any = PreTrainedModel
    original = owner.__dict__["from_pretrained"]
    lacking: list[str] = []

    def listening(model_class: Any, /, *arguments: Any, output_loading_info: bool = False, **settings: Any) -> Any:
        model, report = original.__func__(model_class, *arguments, output_loading_info=True, **settings)
        lacking.extend(_lacking(model, report["missing_keys"], head=head, pooler=pooler))
        return (model, report) if output_loading_info else model

    owner.from_pretrained = classmethod(listening)
    try:
        yield
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        problem = f"{name}: its weights have other shapes than one score needs, as of a head of several labels; {instead}"
        raise (SettingError(key, problem) if key else ValueError(problem)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, SettingError) or not NO_MODEL.search(str(error)):
            raise
        raise _no_model(name, key, error) from None
    finally:
        owner.from_pretrained = original
    if lacking:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        problem = f"{name}: no weights in it for {', '.join(lacking[:SHOWN])}{more}; they would be random ones: {instead}"
        raise SettingError(key, problem) if key else ValueError(problem)


def _no_model(name: str, key: str, error: Exception) -> ValueError:
    """What is wrong with a name that nothing could be loaded by."""
    folder = Path(name)
    # What the hub said tells a name that is none from a model that asks for a token.
    said = " ".join(str(error).split())[:160]
    reason = "a folder without a model in it" if folder.is_dir() else f"no folder here, and no model of that name can be fetched: {said}"
    problem = f"{name!r} found, {reason}; a folder that save_pretrained wrote, or the id of a model on Hugging Face, is allowed"
    return SettingError(key, problem) if key else ValueError(problem)


def _lacking(model: Any, missing: Any, *, head: bool, pooler: bool) -> list[str]:
    prefix = f"{model.base_model_prefix}."
    inside = any(key.startswith(prefix) for key in model.state_dict())  # a bare encoder is all body, whose names have no prefix
    names = [key for key in sorted(missing) if not (head and inside and not key.startswith(prefix))]
    return [key for key in names if not ((pooler or head) and POOLER.search(key))]
