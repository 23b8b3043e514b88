"""A name by which no model can be loaded ends in one line that names it, and its key where it has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tandem.llm.causal_lm import load_causal_lm
from tandem.rerankers.monot5 import MonoT5
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.pair_scorer import load_scorer
from tandem.retrievers.dense import load_dense
from tandem.settings import SettingError

FORM = PairFormat(kind="encoder", max_length=16, max_query_length=8)
LOADERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "generator": ("base", lambda name: load_causal_lm(name, key="base")),
    "encoder": ("encoder", load_dense),
    "reranker": ("base", lambda name: load_scorer(name, FORM, new_head=True)),
    "monot5": ("", MonoT5),
}
NAMES = {"nowhere": "no folder here", "owner/nowhere": "no folder here", "empty": "a folder without a model"}


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("name", NAMES)
def test_no_model_of_that_name(kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    key, load = LOADERS[kind]
    with pytest.raises(ValueError, match=f"^{key + ': ' if key else ''}'{name}' found, {NAMES[name]}.* is allowed$") as caught:
        load(name)
    assert isinstance(caught.value, SettingError) == bool(key)
    assert "\n" not in str(caught.value)
