"""Queries for documents: asked of a language model, here or behind a server, or taken from a file; parsed strictly, and marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from tandem.formats.corpus import Corpus
from tandem.generators.imported import import_queries
from tandem.generators.prompts import PromptedSettings, QueryPrompts, read_examples
from tandem.generators.requests import Request, RequestSettings, plan_requests
from tandem.interfaces import LanguageModel, SamplingSettings
from tandem.llm.causal_lm import CausalLM
from tandem.llm.completion_cache import CompletionCache
from tandem.llm.parsing import parse_query
from tandem.llm.served import ServedModel, ServerSettings
from tandem.records import Document, PseudoQuery
from tandem.runtime.distributed import is_main_process
from tandem.runtime.hardware import Compute
from tandem.runtime.scratch import folder_identity
from tandem.settings import BatchSize, errors_about
from tandem.text import count_words, normalize_query

__all__ = [
    "GenerationSettings",
    "QuerySettings",
    "complete_requests",
    "count_stripped",
    "generate_queries",
    "mark_unusable",
    "summarise",
]


class QuerySettings(RequestSettings, SamplingSettings):
    """How many queries a model writes, and how."""

    batch_size: BatchSize
    """prompts at once"""


class GenerationSettings(QuerySettings):
    """Where a round's queries come from."""

    backend: Literal["model", "openai", "file"]
    """model samples from the round's generator; openai asks a server; file takes what another program wrote"""
    served: ServerSettings
    file: str | None
    """of backend file: JSONL of {text, doc_id}"""


def generate_queries(
    documents: Sequence[Document],
    weights: Path,
    settings: GenerationSettings,
    prompted: PromptedSettings,
    *,
    prefix: str,
    cache: Path,
    compute: Compute,
) -> tuple[list[PseudoQuery], dict[str, float]]:
    """Write the queries of a round, and mark the unusable ones.

    Args:
        documents: the corpus.
        weights: folder of the round's generator, ``.../<generator>/model/weights``; with the backend openai the server's model of the
            generator's name, and with the backend file nothing.
        settings: where queries come from, how many.
        prompted: how a document becomes a prompt.
        prefix: of the query ids.
        cache: file of completions, shared by all rounds and runs.
        compute: where, and the seed.

    Returns:
        The rows, and what they cost: see :meth:`tandem.interfaces.LanguageModel.costs`; with how many completions had what around their
        query. Under a launcher one process asks the server or reads the file, and the others come back with nothing.
    """
    if settings.backend != "model" and not is_main_process():
        return [], {}
    if settings.backend == "file":
        with errors_about(settings):
            imported = import_queries(Path(settings.file or ""), documents, settings, seed=compute.seed)
        requests = [Request(f"{prefix}-{i}", doc_id, "") for i, (doc_id, _) in enumerate(imported)]
        return mark_unusable(requests, [text for _, text in imported]), {}
    model, seed = _open_model(weights, settings, prefix=prefix, cache=cache, compute=compute)
    prompts = QueryPrompts(model.tokenizer, prompted.prompt, examples=read_examples(weights))
    corpus = Corpus.of(documents).texts
    requests = plan_requests(corpus, settings, prompted, prefix=prefix, seed=compute.seed, query_types=prompts.examples.types)
    completions = complete_requests(model, requests, corpus, prompts, settings, seed=seed)
    return mark_unusable(requests, completions), {**model.costs(), **count_stripped(completions)}


def _open_model(
    weights: Path, settings: GenerationSettings, *, prefix: str, cache: Path, compute: Compute
) -> tuple[CausalLM | ServedModel, int | str]:
    """The round's model and the seed of its draws: with the round in it where the model is loaded here, as caches have it."""
    completions = CompletionCache(cache)
    if settings.backend == "openai":
        return ServedModel(settings.served, weights.parts[-3], cache=completions), compute.seed
    identity = folder_identity(weights)
    model = CausalLM.load(str(weights), device=compute.device, batch_size=settings.batch_size, cache=completions, identity=identity)
    return model, f"{compute.seed}:{prefix}"


def complete_requests(
    model: LanguageModel,
    requests: Sequence[Request],
    texts: Mapping[str, str],
    prompts: QueryPrompts,
    sampling: SamplingSettings,
    *,
    seed: int | str,
) -> list[str]:
    """What a model writes to each request, as it wrote it: the one way in which queries are asked for.

    Args:
        model: that is asked.
        requests: from :func:`tandem.generators.requests.plan_requests`.
        texts: by doc_id.
        prompts: how the model's prompts are made.
        sampling: how it writes.
        seed: of the draws.
    """
    rendered = prompts.render_requests(requests, texts)
    groups = [request.doc_id for request in requests]
    completions = model.complete(rendered, sampling, seed=seed, one_line=prompts.one_line, groups=groups)
    return [completion.text for completion in completions]


def mark_unusable(requests: Sequence[Request], completions: Sequence[str]) -> list[PseudoQuery]:
    """One row for each request, its query parsed; those that are empty, hold no query, copy the prompt or repeat another are marked.

    Args:
        requests: in order.
        completions: as they were written, one for each request.
    """
    rows, seen = [], set()
    for request, completion in zip(requests, completions, strict=True):
        parsed = parse_query(completion)
        text = parsed.text
        key = (request.doc_id, normalize_query(text))
        reason = ""
        if not text:
            reason = "no_query" if parsed.stripped else "empty"
        elif text.lower().startswith(("document:", "keywords:")) or text.lower() == request.keywords.lower() != "":
            reason = "copy"
        elif key in seen:
            reason = "duplicate"
        seen.add(key)
        status: Literal["rejected", "generated"] = "rejected" if reason else "generated"
        row = PseudoQuery(
            query_id=request.query_id, text=text, doc_id=request.doc_id, keywords=request.keywords, status=status, reason=reason
        )
        rows.append(row)
    return rows


def count_stripped(completions: Iterable[str]) -> dict[str, float]:
    """How many completions had something around their query, by what it was: ``stripped_label``, ``stripped_thinking``, ..."""
    counts = Counter(f"stripped_{name}" for text in completions for name in parse_query(text).stripped)
    return {name: float(counts[name]) for name in sorted(counts)}


def summarise(rows: Sequence[PseudoQuery]) -> dict[str, float]:
    """Counts, the share of distinct texts and the mean length in words of what was generated."""
    texts = [normalize_query(row.text) for row in rows if row.text]
    return {
        "queries": len(rows),
        "documents": len({row.doc_id for row in rows}),
        "usable": sum(row.status == "generated" for row in rows),
        "distinct_share": len(set(texts)) / max(len(texts), 1),
        "mean_words": sum(count_words(text) for text in texts) / max(len(texts), 1),
    }
