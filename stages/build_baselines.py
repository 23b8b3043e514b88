"""Write what needs no training as retrievers that the gate may choose: BM25, the untouched dense encoder, the untouched ColBERT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.runtime import open_stage, run
from stages.sections import LexicalParams, RetrieverParams
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.dense import load_dense
from tandem.retrievers.retriever import Lexical, save_retriever
from tandem.runtime.hardware import device_name
from tandem.settings import Seed, Tokens
from tandem.tracking.model_folder import save_model_folder, serving_code


class Params(LexicalParams):
    """Settings of the baselines that are not the retriever's own."""

    dense_max_length: Tokens
    retriever: RetrieverParams
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Build the three, write a model folder each."""
    with open_stage("build_baselines", Params, argv, writes="bm25 dense colbert") as (paths, params, _, _scratch):
        shape, device = params.retriever.model_dump(exclude={"kind"}), device_name()
        limit: dict[str, Any] = {"max_length": params.dense_max_length, "length_key": "dense_max_length", "keys": "build_baselines."}
        if params.retriever.kind == "dense":  # what every round starts from, cut as they cut it
            limit = {
                "max_length": shape["document_tokens"],
                "length_key": "document_tokens",
                "layers": shape["layers"],
                "keys": "retriever.",
            }
        models = {
            "bm25": Lexical(params.bm25, params.language),
            "dense": load_dense(shape["encoder"], prompts=shape["prompts"], **limit, device=device),
            "colbert": build_colbert(**shape, keys="retriever.", seed=params.seed, device=device),
        }
        for name, model in models.items():
            with save_model_folder(getattr(paths, name), serving_code("retriever_model")) as weights:
                save_retriever(model, weights)


if __name__ == "__main__":
    run(main)
