"""What a served model is asked: columns of text and settings of sampling, refused in one line where they are no such thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tandem.formats.jsonl import explain
from tandem.settings import BatchSize, CountOrZero, PositiveShare, Seed, Temperature, Tokens

__all__ = ["Sampling", "read_sampling", "text_column"]


class Sampling(BaseModel):
    """How queries are sampled, where a request does not say otherwise: greedily. The defaults are those of the model's MLmodel file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_new_tokens: Tokens = 32
    temperature: Temperature = 0.0
    top_p: PositiveShare = 1.0
    top_k: CountOrZero = 0
    seed: Seed = 0
    batch_size: BatchSize = 16
    """bounds the memory"""


def read_sampling(params: Mapping[str, Any] | None) -> Sampling:
    """The settings of a request.

    Raises:
        ValueError: an unknown setting, or a value out of its bounds.
    """
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in (params or {}).items()}  # numpy's numbers
    if unknown := set(plain) - set(Sampling.model_fields):
        raise ValueError(f"params: {', '.join(sorted(unknown))} found, allowed: {', '.join(Sampling.model_fields)}")
    try:
        return Sampling.model_validate(plain)
    except ValidationError as error:
        raise ValueError(f"params.{explain(error)}") from None


def text_column(frame: Any, name: str, *, optional: bool = False) -> list[str]:
    """A column of a pandas frame as texts.

    Args:
        frame: of the request.
        name: of the column.
        optional: where the column or a cell of it is missing, the text is empty.

    Raises:
        ValueError: there is no such column, or a cell holds no text.
    """
    if name not in frame:
        if optional:
            return [""] * len(frame)
        raise ValueError(f"column {name!r} is expected, found: {', '.join(map(str, frame.columns)) or 'none'}")
    column = frame[name]
    texts: list[str] = []
    for row, (value, missing) in enumerate(zip(column, column.isna(), strict=True), start=1):
        if not isinstance(value, str) and not (optional and missing):
            raise ValueError(f"column {name!r}: row {row} is {'empty' if missing else repr(value)}; a text is expected")
        texts.append("" if missing else value)
    return texts
