"""LossNet: a small network that predicts a query's training loss from what a frozen retriever makes of it and its document.

Features and target are those of the retriever itself: token vectors ``Q`` (query) and ``D`` (document), and the late-interaction profile
``p_i = max_j Q_i . D_j``. The network attends from the query's tokens to the document's, takes ``[h_i, Q_i, p_i]`` through two layers and
averages over i (iGFT, equation 8, which has neither ``Q_i`` nor ``p_i``). Its output is linear: the published code ends in a ReLU, whose
mostly zero targets invite it to say zero of everything. It learns by the margin loss on pairs of Yoo and Kweon (2019), or by squared error
as in iGFT's equation 9, and is cross-fitted, so that a query's prediction never comes from a network that was trained on it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tandem.settings import BatchSize, LearningRate, Settings, Steps

__all__ = ["Features", "LossNet", "LossNetSettings", "Quality", "cross_fit", "pair_accuracy", "pair_margin_loss", "spearman"]

FOLDS = 2


class LossNetSettings(Settings):
    """Training of LossNet."""

    objective: Literal["margin", "mse"]
    """margin: order of pairs (Yoo and Kweon 2019); mse: squared error of the loss (iGFT)"""
    epochs: Steps
    """passes over the rows of a fold"""
    batch_size: BatchSize
    """rows a step"""
    learning_rate: LearningRate
    """of AdamW"""


@dataclass(frozen=True, slots=True)
class Features:
    """Token vectors of queries and of their documents, padded: (rows, tokens, dimensions) with masks (rows, tokens)."""

    queries: Tensor
    query_mask: Tensor
    documents: Tensor
    document_mask: Tensor

    @classmethod
    def of(cls, queries: Sequence[Tensor], documents: Sequence[Tensor]) -> Features:
        """Pad lists of (tokens, dimensions)."""
        return cls(*_pad(queries), *_pad(documents))


@dataclass(frozen=True, slots=True)
class Quality:
    """How well out-of-fold predictions order what they predict: Spearman's rank correlation and the share of pairs in order."""

    spearman: float
    pair_accuracy: float


class LossNet(nn.Module):
    """Token vectors to one number a row, higher for a higher loss.

    Args:
        dimensions: of a token vector.
        heads: of the attention.
        width: of the hidden layer.
        dropout: before the last layer.
    """

    def __init__(self, dimensions: int, *, heads: int = 4, width: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.query_norm, self.document_norm = nn.LayerNorm(dimensions), nn.LayerNorm(dimensions)
        heads = heads if dimensions % heads == 0 else 1
        self.attention = nn.MultiheadAttention(dimensions, heads, batch_first=True)
        self.layers = nn.Sequential(nn.Linear(2 * dimensions + 1, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, 1))

    def forward(self, features: Features) -> Tensor:
        """Predictions, (rows,)."""
        queries, documents = self.query_norm(features.queries), self.document_norm(features.documents)
        attended, _ = self.attention(queries, documents, documents, key_padding_mask=~features.document_mask, need_weights=False)
        products = torch.einsum("bqd,bkd->bqk", features.queries, features.documents)
        profile = products.masked_fill(~features.document_mask[:, None], float("-inf")).amax(-1, keepdim=True)
        outputs = self.layers(torch.cat([attended, features.queries, profile], dim=-1)).squeeze(-1)
        mask = features.query_mask
        means: Tensor = (outputs * mask).sum(1) / mask.sum(1).clamp(min=1)
        return means


def pair_margin_loss(predicted: Tensor, losses: Tensor, *, margin: float = 1.0) -> Tensor:
    """``mean max(0, -sgn(l_i - l_j) (p_i - p_j) + margin)`` over all pairs with different losses (Yoo and Kweon 2019, eq. 2).

    Args:
        predicted: (rows,).
        losses: (rows,), standardised, so that the margin means something.
        margin: between predictions of pairs in the right order.
    """
    first, second = torch.triu_indices(len(losses), len(losses), offset=1)
    sign = (losses[first] - losses[second]).sign()
    terms = (margin - sign * (predicted[first] - predicted[second])).clamp(min=0)[sign != 0]
    return terms.mean() if len(terms) else predicted.sum() * 0.0


def cross_fit(
    queries: Sequence[Tensor], documents: Sequence[Tensor], losses: Sequence[float | None], settings: LossNetSettings, *, seed: int
) -> tuple[list[float], Quality]:
    """Predict a loss for every row: out of fold for those whose loss is known, by the mean of all folds for the rest.

    Args:
        queries: token vectors of each row's query, (tokens, dimensions).
        documents: of its document.
        losses: those that are known, else None; higher predictions mean higher losses, in units of their standard deviation.
        settings: of the training.
        seed: of folds, weights and batches.

    Returns:
        A prediction a row, and how well the out-of-fold ones order the known losses.

    Raises:
        ValueError: fewer than four losses are known.
    """
    known = [i for i, loss in enumerate(losses) if loss is not None]
    if len(known) < 2 * FOLDS:
        raise ValueError(f"LossNet: {len(known)} known losses found, {2 * FOLDS} are the least to learn from")
    values = torch.tensor([loss for loss in losses if loss is not None])
    standard = dict(zip(known, ((values - values.mean()) / values.std().clamp(min=1e-6)).tolist(), strict=True))
    random.Random(f"folds:{seed}").shuffle(known)
    predictions = torch.zeros(len(losses))
    rest = [i for i, loss in enumerate(losses) if loss is None]
    for fold in range(FOLDS):
        held_out = known[fold::FOLDS]
        targets = {i: standard[i] for i in known if i not in set(held_out)}
        net = _fit(queries, documents, targets, settings, seed=seed + fold)
        predictions[held_out] = _predict(net, queries, documents, held_out)
        if rest:
            predictions[rest] += _predict(net, queries, documents, rest) / FOLDS
    out_of_fold, target = predictions[known], torch.tensor([standard[i] for i in known])
    return predictions.tolist(), Quality(spearman(out_of_fold, target), pair_accuracy(out_of_fold, target))


def spearman(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; 0 where one side does not vary."""
    ranks = [_ranks(values) for values in (first, second)]
    a, b = (values - values.mean() for values in ranks)
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale else 0.0


def pair_accuracy(predicted: Tensor, losses: Tensor) -> float:
    """The share of pairs with different losses that the predictions put in their order, equal predictions half; .5 without pairs."""
    first, second = torch.triu_indices(len(losses), len(losses), offset=1)
    sign = (losses[first] - losses[second]).sign()
    agree = (sign * (predicted[first] - predicted[second]).sign())[sign != 0]
    return float((agree + 1).mean() / 2) if len(agree) else 0.5


def _fit(
    queries: Sequence[Tensor], documents: Sequence[Tensor], targets: dict[int, float], settings: LossNetSettings, *, seed: int
) -> LossNet:
    """A net trained on the rows whose standardised loss ``targets`` has, by row."""
    torch.manual_seed(seed)
    net, order = LossNet(queries[0].shape[-1]), list(targets)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate)
    rng = random.Random(f"loss net:{seed}")
    for _ in range(settings.epochs):
        rng.shuffle(order)
        for start in range(0, len(order), settings.batch_size):
            batch = order[start : start + settings.batch_size]
            predicted = net(Features.of([queries[i] for i in batch], [documents[i] for i in batch]))
            target = torch.tensor([targets[i] for i in batch])
            loss = pair_margin_loss(predicted, target) if settings.objective == "margin" else (predicted - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


def _predict(net: LossNet, queries: Sequence[Tensor], documents: Sequence[Tensor], rows: Sequence[int]) -> Tensor:
    predictions = []
    with torch.no_grad():
        for start in range(0, len(rows), 256):
            batch = rows[start : start + 256]
            predictions.append(net(Features.of([queries[i] for i in batch], [documents[i] for i in batch])))
    return torch.cat(predictions)


def _ranks(values: Tensor) -> Tensor:
    _, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ranks: Tensor = (counts.cumsum(0) - (counts - 1) / 2)[inverse].double()
    return ranks


def _pad(vectors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(tokens) for tokens in vectors])
    return nn.utils.rnn.pad_sequence(list(vectors), batch_first=True), torch.arange(int(lengths.max())) < lengths[:, None]
