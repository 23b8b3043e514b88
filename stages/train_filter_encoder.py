"""Fine-tune the dense filter (the paper's pretrained DPR) on the labelled pairs; with none it stays zero-shot."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arguments import parse, run
from tandem.evaluation.measures import ndcg_at_10
from tandem.formats.arrays import write_array
from tandem.formats.jsonl import read_records
from tandem.hardware import Precision, device_name, use_bf16
from tandem.params import Section, load_params
from tandem.records import Document, LabelledPair, document_text
from tandem.retrievers.dense import encode_corpus, load_dense, save_dense, search
from tandem.retrievers.selection import choose_dev
from tandem.retrievers.training import train_retriever
from tandem.scratch import open_scratch
from tandem.tracking import record


class Params(Section):
    """The dense bi-encoder of the filter."""

    encoder: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: int | None
    maximum_tokens: int
    steps: int
    batch_size: int
    negatives: int
    learning_rate: float
    warmup_share: float
    scale: float
    evaluations: int
    dev_documents: int
    precision: Precision
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read pairs and corpus, write the encoder and the vectors of the corpus, which every round's filter searches."""
    arguments = parse(__doc__, argv, "corpus", "train", "dev", "model", "vectors", "record")
    params = load_params(arguments.params, "train_filter_encoder", Params)
    inputs = [arguments.corpus, arguments.train, arguments.dev]
    with (
        record("train_filter_encoder", params, arguments.record) as tracked,
        open_scratch("train_filter_encoder", values=params.model_dump_json(), inputs=inputs) as scratch,
    ):
        corpus = read_records(arguments.corpus, Document)
        texts = {document.doc_id: document_text(document) for document in corpus}
        pairs = [(pair.text, pair.doc_id) for pair in read_records(arguments.train, LabelledPair)]
        labelled = read_records(arguments.dev, LabelledPair)
        dev = choose_dev(labelled, [], texts, dev_documents=params.dev_documents, seed=params.seed)
        settings = params.model_dump(exclude={"encoder", "layers", "maximum_tokens", "dev_documents", "precision"})
        model = load_dense(params.encoder, layers=params.layers, maximum_tokens=params.maximum_tokens, device=device_name())
        trained = train_retriever(
            model,
            pairs,
            corpus,
            **settings,
            dev_score=lambda model: ndcg_at_10(dev.pairs, search(model, dev.documents, dev.queries, depth=10)),
            scratch=scratch,
            bf16=use_bf16(params.precision),
        )
        save_dense(model, arguments.model)
        write_array(arguments.vectors, encode_corpus(model, texts))
        tracked.log_series("loss", trained.loss)
        tracked.log_series("dev_ndcg_at_10", trained.dev)
        tracked.log({"best_step": trained.best_step})


if __name__ == "__main__":
    run(main)
