"""Generators side by side: each writes queries for the same documents with the same keywords."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tandem.formats.corpus import Corpus
from tandem.generators.examples import NO_EXAMPLES
from tandem.generators.prompts import PromptedSettings, QueryPrompts, read_examples
from tandem.generators.queries import QuerySettings, complete_requests
from tandem.generators.requests import plan_requests
from tandem.llm.causal_lm import CausalLM
from tandem.llm.parsing import clean_query
from tandem.records import Document, PseudoQuery

__all__ = ["write_trials"]


def write_trials(
    generators: Mapping[str, str],
    documents: Sequence[Document],
    settings: QuerySettings,
    prompted: PromptedSettings,
    *,
    seen: Collection[str],
    device: str,
    seed: int,
) -> dict[str, list[PseudoQuery]]:
    """Queries of each generator for documents that none of them was trained on.

    Args:
        generators: folder, or a name for :func:`tandem.llm.causal_lm.load_causal_lm`, by name.
        documents: the corpus; prompts take their words' frequencies from all of it.
        settings: how many queries of how many documents, and how they are sampled.
        prompted: how a document becomes a prompt; the examples before it are those that the generators' folders name.
        seen: doc_ids to leave out.
        device: to run on.
        seed: of the draw, the keywords and the sampling.

    Returns:
        Queries, by generator; the same query_id stands for the same document and keywords in each.
    """
    unseen = {document.doc_id for document in documents if document.doc_id not in seen}
    texts = Corpus.of(documents).texts
    examples = next((drawn for drawn in map(read_examples, map(Path, generators.values())) if drawn.by_type), NO_EXAMPLES)
    # The same for all of them, so the corpus's words are counted once; how a prompt is cut and put into turns is up to each tokenizer.
    requests = plan_requests(texts, settings, prompted, prefix="trial", seed=seed, among=unseen, query_types=examples.types)
    trials = {}
    for name, folder in generators.items():
        model = CausalLM.load(folder, device=device, batch_size=settings.batch_size)
        prompts = QueryPrompts(model.tokenizer, prompted.prompt, examples=examples)
        completions = complete_requests(model, requests, texts, prompts, settings, seed=seed)
        trials[name] = [
            PseudoQuery(query_id=request.query_id, text=clean_query(completion), doc_id=request.doc_id)
            for request, completion in zip(requests, completions, strict=True)
        ]
    return trials
