"""An adapter's end in the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.llm.causal_lm import load_causal_lm
from tandem.runtime.lora import Lora, adapter_config, merge_adapter


def test_an_untrained_adapter_is_refused(tiny_generator: Path) -> None:
    from peft import get_peft_model

    model, tokenizer = load_causal_lm(str(tiny_generator))
    adapted = get_peft_model(model, adapter_config(Lora(rank=2, alpha=4), model))
    with pytest.raises(RuntimeError, match="adapter is what it was before"):
        merge_adapter(adapted, dict(tokenizer(["sort"], return_tensors="pt")))


@pytest.mark.parametrize(("last_layers", "adapted"), [(None, {0, 1}), (1, {1}), (2, {0, 1}), (10, {0, 1})])
def test_an_adapter_on_the_last_layers(tiny_generator: Path, last_layers: int | None, adapted: set[int]) -> None:
    """Those alone have something to train, and seven linear maps each."""
    from peft import get_peft_model

    model, _ = load_causal_lm(str(tiny_generator))
    named = get_peft_model(model, adapter_config(Lora(rank=2, alpha=4, last_layers=last_layers), model)).named_parameters()
    trained = [name for name, parameter in named if parameter.requires_grad]
    assert {int(name.split(".layers.")[1].split(".")[0]) for name in trained} == adapted
    assert len(trained) == 14 * len(adapted)
