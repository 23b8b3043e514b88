"""Train one reranker on grouped rows: labels of people, of several levels, or a teacher's scores."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.ranking import row_measures, row_values
from tandem.formats.tables import write_curve
from tandem.rerankers.ranking_data import read_split
from tandem.rerankers.training import RerankerSettings, ScheduleSettings, build_reranker, train_reranker
from tandem.runtime.hardware import Compute, Precision, device_name, use_bf16
from tandem.settings import Seed
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(ScheduleSettings):
    """What all rerankers share, and each by its name."""

    rerankers: dict[str, RerankerSettings]
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read rows, write the model and its curves."""
    reads, writes = "rows dev_rows", "model curve"
    with (
        open_stage("train_reranker", Params, argv, reads=reads, writes=writes, words="name") as (paths, params, tracked, scratch),
        save_model_folder(paths.model, serving_code("reranker_model")) as weights,
    ):
        settings = params.rerankers[paths.name]
        compute = Compute(device_name(), use_bf16(params.precision), params.seed, scratch)
        rows, dev, conflicts = read_split(paths.rows, paths.dev_rows, min_label=settings.min_label, max_label=settings.max_label)
        reranker = build_reranker(settings, compute)
        trained = train_reranker(
            reranker,
            rows,
            settings,
            params,
            dev_score=lambda model: row_values(dev, model.compute_score)["ndcg_at_10"],
            compute=compute,
        )
        reranker.save(weights, trained=bool(rows))
        quality = {f"dev_{name}": value for name, value in row_measures(dev, reranker.compute_score).items()}
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({**quality, "rows": len(rows), "conflicts": conflicts, "best_step": trained.best_step})
        write_curve(paths.curve, {"loss": trained.loss, "dev_ndcg_at_10": trained.dev})


if __name__ == "__main__":
    run(main)
