"""Generators side by side: each writes queries for the same documents with the same keywords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tandem.formats.texts import texts_of
from tandem.generators.base import load_generator
from tandem.generators.parsing import clean_query
from tandem.generators.sampling import draw_requests, render_requests, sample_queries
from tandem.records import Document, PseudoQuery

__all__ = ["write_trials"]


def write_trials(
    generators: Mapping[str, str],
    documents: Sequence[Document],
    *,
    seen: set[str],
    sampled_documents: int,
    queries_per_document: int,
    prompt: Mapping[str, Any],
    device: str,
    seed: int,
    **sampling: Any,
) -> dict[str, list[PseudoQuery]]:
    """Queries of each generator for documents that none of them was trained on.

    Args:
        generators: folder or Hugging Face id by name.
        documents: the corpus; prompts take their words' frequencies from all of it.
        seen: doc_ids to leave out.
        sampled_documents: drawn by seed from those that are left.
        queries_per_document: each.
        prompt: ``template``, ``document_tokens``, ``keywords``, ``ignored_words`` and ``language`` of
            :func:`tandem.generators.sampling.plan_prompts`.
        device: to run on.
        seed: of the draw, the keywords and the sampling.
        sampling: arguments of :func:`tandem.generators.sampling.sample_queries`.

    Returns:
        Queries, by generator; the same query_id stands for the same document and keywords in each.
    """
    chosen = {document.doc_id for document in documents if document.doc_id not in seen}
    texts = texts_of(documents)
    shape = {key: prompt[key] for key in ("template", "document_tokens")}
    plan: dict[str, Any] = {
        "sampled_documents": sampled_documents,
        "queries_per_document": queries_per_document,
        "among": chosen,
        "seed": seed,
    }
    # The same for all of them, so the corpus's words are counted once; how a prompt is cut and put into turns is each tokenizer's own.
    requests = draw_requests(texts, prefix="trial", **plan, **{key: value for key, value in prompt.items() if key not in shape})
    doc_ids = {query_id: doc_id for query_id, doc_id, _ in requests}
    trials = {}
    for name, folder in generators.items():
        model, tokenizer = load_generator(folder, device=device)
        prompts = render_requests(requests, texts, tokenizer, **shape)
        batches = sample_queries(model, tokenizer, prompts, doc_ids, seed=seed, **sampling)
        written = {query_id: clean_query(answer.text) for batch in batches for query_id, answer in batch.items()}
        trials[name] = [PseudoQuery(query_id=query_id, text=written[query_id], doc_id=doc_id) for query_id, doc_id in doc_ids.items()]
    return trials
