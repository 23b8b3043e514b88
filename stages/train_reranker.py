"""Train one reranker on grouped rows: labels of people, of several levels, or a teacher's scores."""

from __future__ import annotations

from collections.abc import Sequence

from stages.reranker_sections import RerankerParams
from stages.runtime import open_stage, run
from tandem.evaluation.ranking import row_measures, row_values
from tandem.formats.tables import write_curve
from tandem.rerankers.ranking_data import read_split
from tandem.rerankers.reranker import Reranker
from tandem.rerankers.training import train_reranker
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Seed, Settings, Share, Steps
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(Settings):
    """What all rerankers share, and each by its name."""

    warmup_ratio: Share
    evaluations: Steps
    patience: Steps | None
    rerankers: dict[str, RerankerParams]
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read rows, write the model and its curves."""
    reads, writes = "rows dev_rows", "model curve"
    with (
        open_stage("train_reranker", Params, argv, reads=reads, writes=writes, words="name") as (paths, params, tracked, scratch),
        save_model_folder(paths.model, serving_code("reranker_model")) as weights,
    ):
        own, device = params.rerankers[paths.name], device_name()
        bf16, keys = use_bf16(params.precision), f"rerankers.{paths.name}."
        rows, dev, conflicts = read_split(paths.rows, paths.dev_rows, **own.model_dump(include={"min_label", "max_label"}))
        reranker = Reranker(own.base, own.form, layers=own.layers, new_head=True, keys=keys, device=device, bf16=bf16, seed=params.seed)
        trained = train_reranker(
            reranker,
            rows,
            **own.model_dump(include={"loss", "steps", "batch_size", "documents_per_query", "learning_rate"}),
            lora=own.lora,
            **params.model_dump(include={"warmup_ratio", "evaluations", "patience", "seed"}),
            dev_score=lambda model: row_values(dev, model.compute_score)["ndcg_at_10"],
            scratch=scratch,
            bf16=bf16,
        )
        reranker.save(weights, trained=bool(rows))
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        quality = {f"dev_{name}": value for name, value in row_measures(dev, reranker.compute_score).items()}
        tracked.log({**quality, "rows": len(rows), "conflicts": conflicts, "best_step": trained.best_step})
        write_curve(paths.curve, {"loss": trained.loss, "dev_ndcg_at_10": trained.dev})


if __name__ == "__main__":
    run(main)
