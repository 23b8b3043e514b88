"""Train a round's ColBERT from the initial one: labelled pairs plus the kept queries of this round and the one before."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arguments import parse, run
from stages.sections import RetrieverParams
from tandem.evaluation.measures import ndcg_at_10
from tandem.formats.jsonl import read_records
from tandem.formats.tables import write_curve
from tandem.hardware import Precision, device_name, use_bf16
from tandem.params import Section, load_params
from tandem.records import Document, LabelledPair, PseudoQuery, document_text
from tandem.retrievers.colbert import build_colbert, save_colbert, search
from tandem.retrievers.selection import choose_dev, choose_pairs
from tandem.retrievers.training import train_retriever
from tandem.scratch import open_scratch
from tandem.tracking import record, save_model_folder, serving_code


class Params(Section):
    """Training of ColBERT; what it starts from stands under ``retriever``."""

    steps: int
    batch_size: int
    negatives: int
    learning_rate: float
    warmup_share: float
    scale: float
    evaluations: int
    training_document_tokens: int | None
    """documents are cut here while training; search uses retriever.document_tokens"""
    queries_per_document: int
    labelled_copies: int
    dev_documents: int
    dev_pseudo_queries: int
    retriever: RetrieverParams
    precision: Precision
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs, queries and corpus, write the model and its curves."""
    words, paths = ["round"], ["corpus", "train", "dev", "previous_queries", "queries", "model", "curve", "record"]
    arguments = parse(__doc__, argv, *paths, words=words)
    params = load_params(arguments.params, "train_retriever", Params)
    inputs = [getattr(arguments, name) for name in paths[:5]]
    name = f"train_retriever-{arguments.round}"
    with (
        record("train_retriever", params, arguments.record, round_id=arguments.round) as tracked,
        open_scratch(name, values=params.model_dump_json(), inputs=inputs) as scratch,
        save_model_folder(arguments.model, serving_code("colbert_model")) as weights,
    ):
        corpus = read_records(arguments.corpus, Document)
        texts = {document.doc_id: document_text(document) for document in corpus}
        train, labelled = (read_records(path, LabelledPair) for path in (arguments.train, arguments.dev))
        pairs, held_out = choose_pairs(
            train,
            [read_records(path, PseudoQuery) for path in sorted({arguments.previous_queries, arguments.queries})],
            held_out=0 if labelled else params.dev_pseudo_queries,
            **params.model_dump(include={"queries_per_document", "labelled_copies", "seed"}),
        )
        dev = choose_dev(labelled, held_out, texts, dev_documents=params.dev_documents, seed=params.seed)
        model = build_colbert(**params.retriever.model_dump(), seed=params.seed, device=device_name())
        trained = train_retriever(
            model,
            pairs,
            corpus,
            **params.model_dump(include=SETTINGS),
            dev_score=lambda model: ndcg_at_10(dev.pairs, search(model, dev.documents, dev.queries, depth=10)),
            scratch=scratch,
            bf16=use_bf16(params.precision),
        )
        save_colbert(model, weights)
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({"training_pairs": len(pairs), "best_step": trained.best_step, "dev_queries": len(dev.queries)})
        write_curve(arguments.curve, {"loss": trained.loss, "dev_ndcg_at_10": trained.dev})


SETTINGS = {"steps", "batch_size", "negatives", "learning_rate", "warmup_share", "scale", "evaluations", "seed"} | {
    "training_document_tokens"
}

if __name__ == "__main__":
    run(main)
