"""An adapter's end in the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.llm.causal_lm import load_causal_lm
from tandem.runtime.lora import Lora, adapter_config, merge_adapter


def test_an_untrained_adapter_is_refused(tiny_generator: Path) -> None:
    from peft import get_peft_model

    model, tokenizer = load_causal_lm(str(tiny_generator))
    adapted = get_peft_model(model, adapter_config(Lora(rank=2, alpha=4)))
    with pytest.raises(RuntimeError, match="adapter is what it was before"):
        merge_adapter(adapted, dict(tokenizer(["sort"], return_tensors="pt")))
