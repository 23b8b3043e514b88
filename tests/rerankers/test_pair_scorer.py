"""The module of a reranker: its answers, its adapter, its first layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rerankers.forms import PAIRS
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.pair_scorer import load_scorer
from tandem.rerankers.reranker import Reranker
from tandem.runtime.lora import Lora
from tandem.settings import SettingError


def test_answers_must_differ(tiny_generator: Path) -> None:
    with pytest.raises(ValueError, match="same token"):
        load_scorer(str(tiny_generator), PairFormat(kind="yes_no", yes="sort", no="sort rows"))


@pytest.mark.parametrize("reranker", ["head"], indirect=True)
def test_a_checkpoint_of_an_adapter_keeps_the_layers_that_were_kept(reranker: Reranker, tmp_path: Path) -> None:
    base, form = reranker.scorer.base, reranker.scorer.form
    cut = load_scorer(base, form, layers=1, new_head=True)
    cut.add_adapter(Lora(rank=2, alpha=4))
    with torch.no_grad():
        for parameter in cut.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    tmp_path.joinpath("cut").mkdir()
    cut.save(str(tmp_path / "cut"))
    again = type(cut).load(str(tmp_path / "cut"))
    assert again.layers == again.config.num_hidden_layers == 1
    cut.eval(), again.eval()
    with torch.no_grad():
        expected, found = (scorer(scorer.preprocess(PAIRS))["scores"] for scorer in (cut, again))
    assert torch.allclose(expected, found, atol=1e-5)
    with pytest.raises(SettingError, match="layers: 9 found, 1 to 2 allowed"):
        load_scorer(base, form, layers=9, new_head=True)
