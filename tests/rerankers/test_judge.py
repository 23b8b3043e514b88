"""Who judges relevance: MonoT5 built in code, against its formula; the trained reranker, and what is said where there is none."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.rerankers.judge import JudgeSettings, load_judge
from tandem.rerankers.monot5 import MonoT5
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.settings import SettingError

WORDS = "true false Query: Document: Relevant: sort the rows of a table draw line mean array long text"
PAIRS = [("sort the rows", "the rows of a table"), ("draw a line", "the mean of a array"), ("mean", "long text " * 30), ("a", "")]


@pytest.fixture(scope="module")
def monot5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a one-layer T5 of random weights and a word-level tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(["<pad>", "</s>", "<unk>", *WORDS.split()]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(vocabulary),
        d_model=16,
        d_ff=32,
        d_kv=8,
        num_layers=1,
        num_heads=2,
        initializer_factor=3.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    folder = tmp_path_factory.mktemp("monot5")
    T5ForConditionalGeneration(config).save_pretrained(folder)
    wrapped.save_pretrained(folder)
    return folder


def test_the_input_ends_in_its_suffix_whatever_the_length(monot5: Path) -> None:
    judge = MonoT5(str(monot5), max_length=24)
    texts = [judge.tokenizer.decode(judge.tokens(*pair)).replace(" </s>", "</s>") for pair in PAIRS]
    assert texts[0] == "Query: sort the rows Document: the rows of a table Relevant:</s>"
    assert texts[3] == "Query: a Document: Relevant:</s>"
    assert texts[2].endswith("Relevant:</s>")
    assert len(judge.tokens(*PAIRS[2])) == 24
    with pytest.raises(ValueError, match="max_length: 10 found"):
        MonoT5(str(monot5), max_length=10).tokens("sort the rows of a table", "a")


def test_the_score_is_the_logit_of_true_less_that_of_false(monot5: Path) -> None:
    judge = MonoT5(str(monot5))
    ids = torch.tensor([judge.tokens(*PAIRS[0])])
    with torch.no_grad():
        logits = judge.model(input_ids=ids, decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)).logits[0, 0]
    true, false = (judge.tokenizer(word)["input_ids"][0] for word in ("true", "false"))
    assert judge.compute_score(PAIRS[:1]) == pytest.approx([float(logits[true] - logits[false])], abs=1e-4)


def test_scores_do_not_depend_on_batch_or_order(monot5: Path) -> None:
    judge = MonoT5(str(monot5))
    expected = judge.compute_score(PAIRS, batch_size=1)
    assert len({round(score, 4) for score in expected}) == len(PAIRS)
    shuffled = random.Random(1).sample(range(len(PAIRS)), len(PAIRS))
    assert judge.compute_score([PAIRS[i] for i in shuffled], batch_size=3) == pytest.approx([expected[i] for i in shuffled], abs=1e-4)
    assert judge.compute_score([]) == []


def test_judges_by_name(monot5: Path, tiny_cross_encoder: Path, tmp_path: Path) -> None:
    reranker = Reranker(str(tiny_cross_encoder), PairFormat(kind="encoder", max_length=32), new_head=True, seed=1)
    (tmp_path / "weights").mkdir()
    reranker.save(tmp_path / "weights")
    pairs = [("sort the rows", "sort"), ("draw", "a line")]

    def settings(scorer: Any, model: str | None = None) -> JudgeSettings:
        return JudgeSettings(scorer=scorer, model=model, form=None, batch_size=2)

    for scorer, model in (("trained", None), ("reranker", str(tmp_path / "weights"))):
        judge = load_judge(settings(scorer, model), tmp_path / "weights")
        assert judge is not None
        assert judge(pairs) == pytest.approx(reranker.compute_score(pairs), abs=1e-4)
    judge = load_judge(settings("monot5", str(monot5)), tmp_path)
    assert judge is not None
    assert judge(PAIRS) == pytest.approx(MonoT5(str(monot5)).compute_score(PAIRS), abs=1e-4)
    with pytest.raises(SettingError, match=r"^model: null found, a folder or Hugging Face id is needed with scorer: monot5") as error:
        load_judge(nobody := settings("monot5"), tmp_path)
    assert error.value.settings is nobody
    reranker.save(tmp_path / "weights", trained=False)
    with pytest.warns(UserWarning, match="no labelled pairs to train it on"):
        assert load_judge(settings("trained"), tmp_path / "weights") is None
