"""A model whose files lack weights scores nothing: it is refused, in a line, wherever it is not about to be trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS, prompted
from makers import retriever_settings
from safetensors.torch import load_file, save_file

from tandem.generators.reward_model import RewardModelSettings, fit_reward_model, load_reward_model
from tandem.llm.causal_lm import load_causal_lm
from tandem.records import PreferencePair
from tandem.rerankers.judge import JudgeSettings, load_judge
from tandem.rerankers.monot5 import MonoT5
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.retrievers.colbert import build_colbert, load_colbert
from tandem.retrievers.dense import load_dense
from tandem.retrievers.retriever import build_retriever, load_retriever, save_retriever
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora
from tandem.settings import SettingError

FORMS = {
    "encoder": PairFormat(kind="encoder", max_length=32, max_query_length=16),
    "similarity": PairFormat(kind="similarity", max_length=32, max_query_length=16),
    "head": PairFormat(kind="head", max_length=32, max_query_length=16, marker="."),
}


def without(folder: Path, target: Path, drop: Callable[[str], bool]) -> Path:
    """A copy of a model folder that lacks some weights."""
    shutil.copytree(folder, target)
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not drop(name)}
    assert len(kept) < len(weights)
    save_file(kept, target / "model.safetensors", {"format": "pt"})
    return target


@pytest.mark.parametrize("kind", FORMS)
def test_a_reranker_with_a_new_head(kind: str, tiny_cross_encoder: Path, tiny_generator: Path, tmp_path: Path) -> None:
    folder, form = str(tiny_generator if kind == "head" else tiny_cross_encoder), FORMS[kind]
    with pytest.raises(ValueError, match=r"(no weights in it for (classifier|score)|no similarity_head).*a reranker that was trained"):
        Reranker(folder, form)
    with pytest.raises(ValueError, match=folder):
        load_judge(JudgeSettings(scorer="reranker", model=folder, form=form, batch_size=2), tmp_path)
    start = Reranker(folder, form, new_head=True, seed=1)  # where it is about to be trained
    start.save(tmp_path / "saved")
    pair = [(QUERIES["sort"], TEXTS["sort"])]
    assert Reranker(str(tmp_path / "saved")).compute_score(pair) == pytest.approx(start.compute_score(pair), abs=1e-5)


def test_a_reranker_that_had_no_rows_to_learn_from(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    """Its head is in its files, and is random all the same."""
    Reranker(str(tiny_cross_encoder), FORMS["encoder"], new_head=True).save(tmp_path, trained=False)
    with pytest.raises(ValueError, match="there were no rows to train this reranker on"):
        Reranker(str(tmp_path))
    with pytest.raises(ValueError, match="there were no rows to train this reranker on"):
        load_judge(JudgeSettings(scorer="reranker", model=str(tmp_path), form=None, batch_size=2), tmp_path / "none")


def test_training_starts_with_a_new_head_but_with_no_new_layer(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    folder = without(tiny_cross_encoder, tmp_path / "cut", lambda name: name.startswith("encoder.layer.1."))
    with pytest.raises(ValueError, match=r"no weights in it for bert\.encoder\.layer\.1.* and \d+ more; they would be random"):
        Reranker(str(folder), FORMS["encoder"], new_head=True)


def test_a_head_of_several_labels(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    shutil.copytree(tiny_cross_encoder, tmp_path / "three")
    AutoModelForSequenceClassification.from_pretrained(tiny_cross_encoder, num_labels=3).save_pretrained(tmp_path / "three")
    with pytest.raises(ValueError, match="three: its weights have other shapes than one score needs"):
        Reranker(str(tmp_path / "three"), FORMS["encoder"])


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_an_encoder_that_lacks_a_layer(kind: Any, tiny_encoder: Path, tmp_path: Path) -> None:
    broken = without(tiny_encoder, tmp_path / "broken", lambda name: "layer.1." in name)
    settings = retriever_settings(broken, kind=kind)
    with pytest.raises(SettingError, match=r"^encoder: .*broken: no weights in it for encoder\.layer\.1.*: take a whole encoder") as error:
        build_retriever(settings, seed=1, device="cpu")
    assert error.value.settings is settings
    whole = build_retriever(retriever_settings(tiny_encoder, kind=kind), seed=1, device="cpu")
    save_retriever(whole, tmp_path / "saved")
    load_retriever(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"no weights in it for encoder\.layer\.0"):
        load_retriever(without(tmp_path / "saved", tmp_path / "lost", lambda name: "layer.0." in name))


def test_a_pooler_that_no_score_reads_may_be_new(tiny_encoder: Path, tiny_cross_encoder: Path, tmp_path: Path) -> None:
    bare = without(tiny_encoder, tmp_path / "bare", lambda name: "pooler" in name)
    load_dense(str(bare))
    build_colbert(retriever_settings(bare))
    similar = without(tiny_cross_encoder, tmp_path / "similar", lambda name: "pooler" in name)
    Reranker(str(similar), FORMS["similarity"], new_head=True)


def test_a_dense_encoder_is_no_colbert(tiny_encoder: Path) -> None:
    """sentence-transformers would give it a new projection."""
    with pytest.raises(ValueError, match="SentenceTransformer found, which has no projection"):
        load_colbert(tiny_encoder)


def test_monot5(tiny_tokenizer: Any, tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    size: dict[str, Any] = {"vocab_size": len(tiny_tokenizer), "d_model": 16, "d_ff": 32, "d_kv": 8, "num_layers": 1, "num_heads": 2}
    T5ForConditionalGeneration(T5Config(**size, pad_token_id=0, decoder_start_token_id=0)).save_pretrained(tmp_path / "t5")
    tiny_tokenizer.save_pretrained(tmp_path / "t5")
    MonoT5(str(tmp_path / "t5"))
    broken = without(tmp_path / "t5", tmp_path / "broken", lambda name: name.startswith("decoder.block.0.layer.1"))
    with pytest.raises(ValueError, match=r"no weights in it for decoder\.block\.0.*castorini/monot5"):
        MonoT5(str(broken))


def test_generators(tiny_generator: Path, tmp_path: Path) -> None:
    broken = without(tiny_generator, tmp_path / "broken", lambda name: "layers.1.mlp" in name)
    with pytest.raises(ValueError, match=r"no weights in it for model\.layers\.1\.mlp.*a whole causal language model"):
        load_causal_lm(str(broken))


def test_reward_models(tiny_generator: Path, tmp_path: Path) -> None:
    """A generator has no score; one that was written untrained has a score in its files, and a gate that is shut."""
    _, tokenizer = load_causal_lm(str(tiny_generator))
    with pytest.raises(ValueError, match=r"no weights in it for score\.weight.*stage train_reward_model"):
        load_reward_model(str(tiny_generator), tokenizer)
    pair = PreferencePair(doc_id="sort", chosen=QUERIES["sort"], rejected=QUERIES["mean"], kind="valid_over_invalid")
    values: dict[str, Any] = {"epochs": 1, "batch_size": 1, "learning_rate": 1e-3, "center_coefficient": 0.0, "min_accuracy": 0.0}
    settings = RewardModelSettings(**values, min_pairs=2, lora=Lora(rank=2, alpha=4))
    compute = Compute(device="cpu", bf16=False, seed=1, scratch=tmp_path / "scratch")
    _, gate = fit_reward_model(tiny_generator, [pair], [pair], TEXTS, tmp_path, settings, prompt=prompted().prompt, compute=compute)
    assert not gate["passed"]
    load_reward_model(str(tmp_path), tokenizer)
