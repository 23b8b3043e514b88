"""Scratch folders: found again by the same work, emptied for other work, gone when the work is done. Precision: asked of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tandem.runtime.hardware import device_name, use_bf16
from tandem.runtime.scratch import open_scratch


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input").write_text("one")
    return tmp_path


def killed(values: str, *, expect: bool) -> None:
    """Start work, check whether it finds what was left, leave something and die."""
    with pytest.raises(KeyboardInterrupt), open_scratch("stage", values=values, inputs=[Path("input")]) as folder:
        assert (folder / "half").exists() is expect
        (folder / "half").write_text("")
        raise KeyboardInterrupt


def test_unfinished_work_is_found_again(work: Path) -> None:
    killed("a", expect=False)
    killed("a", expect=True)
    with open_scratch("stage", values="a", inputs=[Path("input")]) as folder:
        assert (folder / "half").exists()
    assert not (work / ".scratch" / "stage").exists()


def test_other_values_and_other_inputs_are_other_work(work: Path) -> None:
    killed("a", expect=False)
    killed("b", expect=False)
    (work / "input").write_text("two")
    killed("b", expect=False)


def test_a_folder_counts_with_all_its_files(work: Path) -> None:
    (work / "model").mkdir()
    (work / "model" / "weights").write_text("1")
    for content, expected in (("1", False), ("1", True), ("2", False)):
        (work / "model" / "weights").write_text(content)
        with pytest.raises(KeyboardInterrupt), open_scratch("s", values="", inputs=[Path("model")]) as folder:
            assert (folder / "half").exists() is expected
            (folder / "half").write_text("")
            raise KeyboardInterrupt


@pytest.mark.parametrize(("amx", "avx", "expected"), [(True, False, True), (False, True, True), (False, False, False)])
def test_precision(monkeypatch: pytest.MonkeyPatch, amx: bool, avx: bool, expected: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    assert device_name() == "cpu"
    assert use_bf16("auto") is expected
    assert use_bf16("bf16") is True
    assert use_bf16("fp32") is False
