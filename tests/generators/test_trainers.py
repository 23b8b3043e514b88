"""What trainers of generators share: rows of pairs, and the arguments of passes over rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conftest import prompted

from tandem.generators.prompts import QueryPrompts
from tandem.generators.trainers import EpochSettings, epoch_arguments, preference_rows
from tandem.records import PreferencePair
from tandem.runtime.hardware import Compute


def test_rows_of_pairs_have_no_keywords_and_whole_queries(tiny_tokenizer: Any) -> None:
    pair = PreferencePair(doc_id="d", chosen="order a table by a column", rejected="draw", kind="hard_over_easy")
    prompt = prompted(document_tokens=2, keywords=3, template="{keywords}|{document}:").prompt
    assert preference_rows([pair], {"d": "sort the rows of a table"}, QueryPrompts(tiny_tokenizer, prompt)) == [
        {"prompt": "|sort the:", "chosen": " order a table by a column", "rejected": " draw"}
    ]


def test_passes_over_rows(tmp_path: Path) -> None:
    """3 passes over 40 rows, 4 a step: 30 steps, a tenth of which warm up; what is measured is measured after each pass."""
    settings, compute = EpochSettings(epochs=3, batch_size=4, learning_rate=1e-3), Compute("cpu", bf16=False, seed=7, scratch=tmp_path)
    rows = [{"prompt": "a", "completion": "b"}] * 40
    arguments = epoch_arguments(settings, rows, rows[:2], compute=compute)
    assert (arguments["warmup_steps"], arguments["eval_strategy"], arguments["save_strategy"]) == (3, "epoch", "epoch")
    assert (arguments["seed"], arguments["use_cpu"], arguments["output_dir"]) == (7, True, str(tmp_path / "checkpoints"))
    assert epoch_arguments(settings, rows, [], compute=compute)["eval_strategy"] == "no"
