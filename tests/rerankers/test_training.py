"""Training of rerankers: every loss learns, decoders and adapters too, the best checkpoint stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import QUERIES, TEXTS
from makers import compute_in, ranking_settings, schedule_settings

from rerankers.forms import FORMS, PAIRS
from tandem.rerankers.losses import Loss
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.rerankers.training import RerankerSettings, build_reranker, train_reranker
from tandem.runtime.lora import Lora
from tandem.runtime.training import Trained
from tandem.settings import SettingError


@pytest.mark.parametrize("loss", ["point_ce", "point_mse", "margin_mse", "rank_net", "lambda", "list_ce"])
def test_every_loss_learns_and_the_best_checkpoint_stays(loss: Loss, tiny_cross_encoder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    reranker = Reranker(str(tiny_cross_encoder), FORMS["encoder"], new_head=True)
    rows = [(QUERIES[name], [(TEXTS[name], 1.0), *((text, 0.0) for other, text in TEXTS.items() if other != name)]) for name in QUERIES]

    def hits(model: Reranker) -> list[float]:
        return [float(model.rerank(QUERIES[name], TEXTS)[0].doc_id == name) for name in QUERIES]

    def accuracy(model: Reranker) -> float:
        return sum(hits(model)) / len(QUERIES)

    before = accuracy(reranker)
    trained = train_reranker(
        reranker,
        rows,
        # one in six, pointwise, and saying no is the first thing learnt
        ranking_settings(loss=loss, **({"steps": 120} if loss.startswith("point") else {"steps": 60, "documents_per_query": 6})),
        schedule_settings(evaluations=3),
        dev_score=hits,
        compute=compute_in(tmp_path),
    )
    assert accuracy(reranker) == dict(trained.dev)[trained.best_step]
    assert accuracy(reranker) >= max(before + 0.3, 0.6)


@pytest.mark.parametrize("reranker", ["head", "yes_no"], indirect=True)
def test_a_decoder_learns_too(reranker: Reranker, tmp_path: Path) -> None:
    rows = [(QUERIES[name], [(TEXTS[name], 1.0), (TEXTS["plot" if name != "plot" else "sort"], 0.0)]) for name in QUERIES]

    def gap(model: Reranker) -> float:
        scores = [model.compute_score([(query, text) for text, _ in documents]) for query, documents in rows]
        return sum(good > bad for good, bad in scores) / len(scores)

    compute = compute_in(tmp_path)
    train_reranker(reranker, rows, ranking_settings(), schedule_settings(), dev_score=lambda model: [gap(model)], compute=compute)
    assert gap(reranker) == 1.0


def test_early_stop(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    reranker = Reranker(str(tiny_cross_encoder), FORMS["encoder"], new_head=True)
    rows = [(QUERIES["sort"], [(TEXTS["sort"], 1.0), (TEXTS["plot"], 0.0)])]
    settings = ranking_settings(batch_size=1, learning_rate=1e-3)
    schedule = schedule_settings(warmup_ratio=0.0, evaluations=20, patience=2)
    trained = train_reranker(reranker, rows, settings, schedule, dev_score=lambda _: [0.5], compute=compute_in(tmp_path))
    assert trained.best_step == 0
    assert trained.dev[-1][0] < 20


@pytest.mark.parametrize("reranker", ["head", "yes_no"], indirect=True)
def test_an_adapter_learns_resumes_and_is_merged(reranker: Reranker, tmp_path: Path) -> None:
    rows = [(QUERIES[name], [(TEXTS[name], 1.0), (TEXTS["plot" if name != "plot" else "sort"], 0.0)]) for name in QUERIES]

    def gap(model: Reranker) -> float:
        scores = [model.compute_score([(query, text) for text, _ in documents]) for query, documents in rows]
        return sum(torch.sigmoid(torch.tensor(good - bad)).item() for good, bad in scores) / len(scores)

    def train(model: Reranker) -> Trained:
        settings = ranking_settings(learning_rate=1e-2, lora=Lora(rank=4, alpha=8))
        schedule, compute = schedule_settings(warmup_ratio=0.0), compute_in(tmp_path)
        return train_reranker(model, rows, settings, schedule, dev_score=lambda model: [gap(model)], compute=compute)

    before = gap(reranker)
    trained = train(reranker)
    assert trained.dev[-1][0] == 40
    assert gap(reranker) == pytest.approx(max(score for _, score in trained.dev), abs=1e-4)
    assert gap(reranker) > before + 0.2
    assert {path.name for path in (tmp_path / "checkpoints/checkpoint-40").iterdir()} >= {"adapter.safetensors", "lora.json"}
    assert not (tmp_path / "checkpoints/checkpoint-40/model.safetensors").exists()
    reranker.save(tmp_path / "merged")
    again = Reranker(str(tmp_path / "merged"))
    assert again.compute_score(PAIRS) == pytest.approx(reranker.compute_score(PAIRS), abs=1e-4)
    # A run that finds the checkpoints of a finished one has nothing left to do, and ends in the same model.
    resumed = Reranker(reranker.scorer.base, reranker.scorer.form, new_head=True)
    train(resumed)
    assert resumed.compute_score(PAIRS) == pytest.approx(reranker.compute_score(PAIRS), abs=1e-3)


def test_a_reranker_that_cannot_be_built_names_its_settings(tiny_cross_encoder: Path, tiny_generator: Path, tmp_path: Path) -> None:
    more = {"rows": "rows.jsonl", "min_label": 0.0, "max_label": 1.0}
    for folder, kind, limit in ((tiny_cross_encoder, "encoder", 512), (tiny_generator, "head", 256)):
        form = PairFormat(kind=kind, max_length=limit + 1, marker=".")  # type: ignore[arg-type]
        settings = RerankerSettings(base=str(folder), layers=None, form=form, **more, **dict(ranking_settings()))
        with pytest.raises(SettingError, match=rf"^form\.max_length: {limit + 1} found, at most {limit} allowed") as error:
            build_reranker(settings, compute_in(tmp_path))
        assert error.value.settings is settings
    settings = RerankerSettings(base=str(tiny_cross_encoder), layers=3, form=FORMS["encoder"], **more, **dict(ranking_settings()))
    with pytest.raises(SettingError, match=r"^layers: 3 found, 1 to 2 allowed"):
        build_reranker(settings, compute_in(tmp_path))
