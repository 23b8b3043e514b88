"""Losses of rerankers by name, and the columns that each of them reads: pointwise, pairwise, listwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any, Literal

from torch import nn

from tandem.rerankers.ranking_data import GradedQuery

__all__ = ["Loss", "build_columns", "make_loss"]

Loss = Literal["point_ce", "point_mse", "margin_mse", "rank_net", "lambda", "list_ce"]


def build_columns(groups: Sequence[GradedQuery], loss: Loss) -> tuple[dict[str, Any], int]:
    """Columns as the loss wants them, and how many rows a group of full size has become.

    Pointwise losses take a row for each document. The others take one for each group, and leave out queries with a single document, which
    teach no order; ``margin_mse`` fills shorter groups up with their negatives again.

    Raises:
        ValueError: the loss compares documents, and no query has two.
    """
    longest = max(len(documents) for _, documents in groups)
    if loss in ("point_ce", "point_mse"):
        rows = [(query, document, label) for query, documents in groups for document, label in documents]
        queries, documents, labels = (list(column) for column in zip(*rows, strict=True))
        return {"query": queries, "document": documents, "label": labels}, longest
    groups = [group for group in groups if len(group[1]) > 1]
    if not groups:
        raise ValueError(f"loss: {loss} compares documents, and no query has two of them; use point_ce or add negatives")
    queries = [query for query, _ in groups]
    if loss == "margin_mse":
        filled = [[documents[0], *islice(cycle(documents[1:]), longest - 1)] for _, documents in groups]
        names = ["positive", *(f"negative_{i}" for i in range(1, longest))]
        columns = {name: [documents[i][0] for documents in filled] for i, name in enumerate(names)}
        return {"query": queries, **columns, "label": [[label for _, label in documents] for documents in filled]}, 1
    texts = [[text for text, _ in documents] for _, documents in groups]
    return {"query": queries, "documents": texts, "label": [[label for _, label in documents] for _, documents in groups]}, 1


def make_loss(model: nn.Module, loss: Loss) -> nn.Module:
    """The loss of a name, as a module over the model."""
    from sentence_transformers.cross_encoder import losses

    makers: dict[Loss, Callable[[], nn.Module]] = {
        "point_ce": lambda: losses.BinaryCrossEntropyLoss(model),
        "point_mse": lambda: losses.MSELoss(model, activation_fn=nn.Sigmoid()),
        "margin_mse": lambda: losses.MarginMSELoss(model, activation_fn=nn.Sigmoid()),  # labels lie between 0 and 1, and so must margins
        "rank_net": lambda: losses.RankNetLoss(model),
        "lambda": lambda: losses.LambdaLoss(model),
        "list_ce": lambda: losses.ListNetLoss(model),
    }
    return makers[loss]()
