"""Write what needs no training as retrievers that the gate may choose: BM25, the untouched dense encoder, the untouched ColBERT."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.retrievers.baselines import BaselineSettings, build_baselines
from tandem.retrievers.bm25 import LexicalSettings
from tandem.retrievers.retriever import Lexical, save_retriever
from tandem.retrievers.settings import RetrieverSettings
from tandem.runtime.hardware import device_name
from tandem.settings import Seed
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(BaselineSettings, LexicalSettings):
    """What the baselines do not share with the rounds' retriever."""

    retriever: RetrieverSettings
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Build the three, write a model folder each."""
    with open_stage("build_baselines", Params, argv, writes="bm25 dense colbert") as (paths, params, _, _scratch):
        bm25 = Lexical(params.bm25, params.language)
        for name, model in build_baselines(bm25, params, params.retriever, seed=params.seed, device=device_name()).items():
            with save_model_folder(getattr(paths, name), serving_code("retriever_model")) as weights:
                save_retriever(model, weights)


if __name__ == "__main__":
    run(main)
