"""Merge a trained retriever with the one that it started from: the average of their weights, by a share that dev queries may choose.

A short training on generated queries forgets some of what the encoder knew; between the two sets of weights lie models that keep both
(Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from torch import Tensor, nn

from tandem.runtime.checkpoints import summarise
from tandem.settings import Share

__all__ = ["SHARES", "Merge", "Merged", "average_weights", "choose_share", "copy_weights", "merge_with_start"]

Merge: TypeAlias = Share | Literal["dev"]
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
HALF = 0.5
Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Merged:
    """The share of the trained weights in a model, and the mean dev scores of the shares that it was chosen among, by share."""

    share: float
    dev: dict[float, float] = field(default_factory=dict)


def merge_with_start(model: nn.Module, start: Weights, merge: float | Literal["dev"], dev_score: Callable[[], Sequence[float]]) -> Merged:
    """Put the average of a model's weights and those that it started from into it.

    Args:
        model: trained; it gets the merged weights.
        start: from :func:`copy_weights`, before the training.
        merge: share of the trained weights: 1 leaves the model as it is, 0 is the start; dev chooses by :func:`choose_share`.
        dev_score: a value for each dev query by the model as it is then, higher is better.
    """
    if merge == 1:
        return Merged(1.0)
    trained = copy_weights(model)
    values: dict[float, Sequence[float]] = {}
    for share in SHARES if merge == "dev" else ():
        model.load_state_dict(average_weights(start, trained, share))
        values[share] = dev_score()
    chosen = choose_share(values) if merge == "dev" else merge
    model.load_state_dict(average_weights(start, trained, chosen))
    return Merged(chosen, {share: summarise(scores)[0] for share, scores in values.items()})


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A model's weights as they are now, on its device."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def average_weights(start: Weights, trained: Weights, share: float) -> dict[str, Tensor]:
    """``start + share (trained - start)`` for every weight, in float32; what is no number with a fraction is the trained one's.

    Shares of 0 and 1 give either's weights to the bit.

    Args:
        start: by name.
        trained: likewise.
        share: of the trained ones.
    """
    return {
        name: start[name].float().lerp(value.float(), share).to(value.dtype) if value.is_floating_point() else value
        for name, value in trained.items()
    }


def choose_share(values: Mapping[float, Sequence[float]]) -> float:
    """Half way, unless the best share is more than a standard error of the paired differences better there, on dev queries.

    A few dev queries tell neighbouring shares apart by chance, and where they are generated ones they speak for the training: half way
    stands until the evidence is against it (one standard error, as in Breiman et al. 1984, section 3.4.3). Of equally good shares the
    nearest to half way counts. Fewer than two dev queries are no evidence.

    Args:
        values: of the same dev queries in the same order, by share; half way is among them.
    """
    if len(values[HALF]) < 2:
        return HALF
    best, gain, error = HALF, 0.0, 0.0
    for share in sorted(values, key=lambda share: abs(share - HALF)):
        mean, standard_error = summarise([value - half for value, half in zip(values[share], values[HALF], strict=True)])
        if mean > gain + 1e-9:
            best, gain, error = share, mean, standard_error
    return best if gain > error else HALF
