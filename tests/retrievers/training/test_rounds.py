"""A round's training: what it refuses, and how it ends: merged with its start."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from makers import compute_in, retriever_settings

from tandem.records import Document, LabelledPair, MinedRow
from tandem.retrievers.retriever import build_retriever, load_retriever
from tandem.retrievers.training.losses import NO_TEACHER, DistillationSettings
from tandem.retrievers.training.rounds import RoundData, RoundSettings, train_round
from tandem.settings import SettingError

LISTWISE = DistillationSettings(distillation="kl", distillation_weight=1.0, contrastive_weight=0.0, teacher_temperature=0.15)


def round_settings(**changes: Any) -> RoundSettings:
    values: dict[str, Any] = {"steps": 6, "batch_size": 2, "learning_rate": 1e-2, "negatives": 1, "warmup_ratio": 0.0, "temperature": 1.0}
    values |= {"queries_per_document": 1, "labelled_copies": 1, "evaluations": 1, "dev_documents": 6}
    values |= {"training_document_tokens": None, "top_negatives": 0, "distillation": NO_TEACHER, "merge": 1.0}
    values |= {"dense_temperature": 0.05, "dense_weight": 1.0}
    return RoundSettings(**{**values, **changes})


def train(
    folder: Path, corpus: list[Document], pairs: list[LabelledPair], encoder: Path, mined: Any = (), **changes: Any
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The weights that are written, and what is reported; every dev score is higher than the one before."""
    rising = count()

    def measure(relevant: Any, _: Any) -> list[float]:
        value = float(next(rising))
        return [value] * len(relevant)

    data = RoundData(corpus, pairs[:4], pairs[4:], [], mined)
    (folder / "weights").mkdir(parents=True)
    compute, start = compute_in(folder), retriever_settings(encoder)
    _, sizes = train_round(data, folder / "weights", round_settings(**changes), start, measure=measure, compute=compute)
    return dict(load_retriever(folder / "weights").state_dict()), sizes  # type: ignore[union-attr]


def test_half_of_a_training_is_half_way(corpus: list[Document], pairs: list[LabelledPair], tiny_encoder: Path, tmp_path: Path) -> None:
    start = build_retriever(retriever_settings(tiny_encoder), seed=1, device="cpu").state_dict()
    whole, sizes = train(tmp_path / "1", corpus, pairs, tiny_encoder)
    assert (sizes["merge"], sizes["training_pairs"], sizes["dev_queries"]) == (1.0, 4, 2)
    half, sizes = train(tmp_path / "2", corpus, pairs, tiny_encoder, merge=0.5)
    assert sizes["merge"] == 0.5
    assert any(not torch.equal(whole[name], start[name]) for name in start)
    for name, value in half.items():
        torch.testing.assert_close(value, (start[name] + whole[name]) / 2 if value.is_floating_point() else whole[name])
    chosen, sizes = train(tmp_path / "3", corpus, pairs, tiny_encoder, merge="dev")
    assert sizes["merge"] == 1.0  # its dev score is taken last, and is higher for every query
    assert sizes["merge_0.25_dev_ndcg_at_10"] < sizes["merge_0.5_dev_ndcg_at_10"] < sizes["merge_1_dev_ndcg_at_10"]
    assert all(torch.equal(chosen[name], whole[name]) for name in whole)


def test_the_teacher_alone_needs_one(corpus: list[Document], pairs: list[LabelledPair], tiny_encoder: Path, tmp_path: Path) -> None:
    mined = [MinedRow(query=pair.text, pos=[pair.doc_id], neg=["plot"]) for pair in pairs[:4]]
    with pytest.raises(SettingError, match=r"^contrastive_weight: 0 found, but no mined row has a teacher's scores") as error:
        train(tmp_path / "1", corpus, pairs, tiny_encoder, mined, distillation=LISTWISE)
    assert isinstance(error.value.settings, DistillationSettings)
    taught = [row.model_copy(update={"pos_scores": [0.9], "neg_scores": [0.1]}) for row in mined]
    listwise, _ = train(tmp_path / "2", corpus, pairs, tiny_encoder, taught, distillation=LISTWISE)
    contrastive, _ = train(tmp_path / "3", corpus, pairs, tiny_encoder, taught)
    assert any(not torch.equal(value, contrastive[name]) for name, value in listwise.items())


def test_no_more_of_the_top_than_in_all() -> None:
    with pytest.raises(ValueError, match="top_negatives: 3 found, at most negatives, 2, is allowed"):
        round_settings(negatives=2, top_negatives=3)
