"""Rows whose loss their features tell, for LossNet and for the selection."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FITTING: dict[str, Any] = {"objective": "margin", "epochs": 15, "batch_size": 16, "learning_rate": 3e-3}


def data(number: int, seed: int = 0) -> tuple[list[Tensor], list[Tensor], list[float]]:
    """Rows whose loss is one less the cosine of a query's only token and the nearest of the document's tokens."""
    generator = torch.Generator().manual_seed(seed)
    queries, documents, losses = [], [], []
    for i in range(number):
        document = torch.nn.functional.normalize(torch.randn(3 + i % 4, 16, generator=generator), dim=-1)
        noise = torch.randn(16, generator=generator) * (i % 10) / 10
        query = torch.nn.functional.normalize(document[0] + noise, dim=-1)[None]
        queries.append(query)
        documents.append(document)
        losses.append(float(1 - (query @ document.T).max()))
    return queries, documents, losses
