"""Rerankers of four kinds on models built in code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rerankers.forms import FORMS
from tandem.rerankers.reranker import Reranker


@pytest.fixture
def reranker(request: pytest.FixtureRequest, tiny_cross_encoder: Path, tiny_generator: Path) -> Reranker:
    torch.manual_seed(0)
    kind = request.param
    return Reranker(str(tiny_cross_encoder if kind in ("encoder", "similarity") else tiny_generator), FORMS[kind], new_head=True)
