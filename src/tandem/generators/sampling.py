"""Sampling queries from a generator: batches of like length, a seed for each query, finished batches kept by content."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from tandem.formats.texts import texts_of
from tandem.generators.answers import Answer, AnswerCache, count_answers, number_requests, request_keys, seed_of
from tandem.generators.base import load_generator
from tandem.generators.decoding import decode
from tandem.generators.keywords import content_words, document_frequencies, offer_keywords
from tandem.generators.parsing import parse_query
from tandem.generators.prompts import render_prompts
from tandem.records import Document, PseudoQuery
from tandem.runtime.distributed import barrier, gather, init_processes, process_rank, world_size
from tandem.text import Language, count_words, normalize_query

__all__ = [
    "Request",
    "count_stripped",
    "draw_requests",
    "mark_unusable",
    "plan_prompts",
    "plan_requests",
    "render_requests",
    "sample_queries",
    "sample_rows",
    "summarise",
]

Request = tuple[str, str, str]  # query_id, doc_id, keywords


def plan_requests(
    texts: Mapping[str, str],
    frequencies: Mapping[str, int],
    *,
    prefix: str,
    sampled_documents: int,
    queries_per_document: int,
    max_keywords: int,
    language: Language = "english",
    ignored_words: Sequence[str] = (),
    seed: int,
    among: set[str] | None = None,
) -> list[Request]:
    """Which documents get queries, how many, and with which keywords.

    A document is drawn, and its keywords are, by its own id: a corpus that grows keeps most of its requests. Rounds write for the same
    documents, with other keywords.

    Args:
        texts: of the corpus by doc_id; any of them may be drawn, whatever the judgements say.
        frequencies: document frequencies of content words.
        prefix: of the query ids, which are ``prefix-number``.
        sampled_documents: drawn by seed; all where there are fewer.
        queries_per_document: each with keywords of its own.
        max_keywords: each query gets 1 to this many, or none where it is 0.
        language: of the words.
        ignored_words: see :func:`tandem.generators.keywords.content_words`.
        seed: of the draws.
        among: draw from these doc_ids only; None draws from all.
    """
    eligible = [doc_id for doc_id, text in texts.items() if (among is None or doc_id in among) and text.strip()]
    chosen = set(sorted(eligible, key=lambda doc_id: _digest(f"requests:{seed}:{doc_id}"))[:sampled_documents])
    requests: list[Request] = []
    for doc_id in (doc_id for doc_id in eligible if doc_id in chosen):
        rng = random.Random(f"keywords:{seed}:{prefix}:{doc_id}")
        words = content_words(texts[doc_id], language, ignored_words)
        for _ in range(queries_per_document):
            keywords = offer_keywords(words, frequencies, least=1, most=max_keywords, rng=rng)
            requests.append((f"{prefix}-{len(requests)}", doc_id, keywords))
    return requests


def _digest(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


def draw_requests(
    texts: Mapping[str, str], *, keywords: int, language: Language = "english", ignored_words: Sequence[str] = (), **plan: Any
) -> list[Request]:
    """The requests of :func:`plan_requests`, with the word frequencies of these texts.

    Args:
        texts: of the corpus by doc_id.
        keywords: in a prompt, at most.
        language: of the words.
        ignored_words: see :func:`tandem.generators.keywords.content_words`.
        plan: other arguments of :func:`plan_requests`.
    """
    frequencies = document_frequencies(texts.values(), language, ignored_words)
    return plan_requests(texts, frequencies, max_keywords=keywords, language=language, ignored_words=ignored_words, **plan)


def render_requests(
    requests: Sequence[Request], texts: Mapping[str, str], tokenizer: Any, *, template: str, document_tokens: int
) -> dict[str, str]:
    """The prompt of each request, by query_id.

    Args:
        requests: from :func:`draw_requests`.
        texts: by doc_id.
        tokenizer: of the model that is asked.
        template: see :func:`tandem.generators.prompts.render_prompts`.
        document_tokens: of a document in a prompt.
    """
    prompts = render_prompts(
        [texts[doc_id] for _, doc_id, _ in requests],
        [keywords for _, _, keywords in requests],
        tokenizer,
        template=template,
        max_document_tokens=document_tokens,
    )
    return {query_id: prompt for (query_id, _, _), prompt in zip(requests, prompts, strict=True)}


def plan_prompts(
    texts: Mapping[str, str], tokenizer: Any, *, template: str, document_tokens: int, **plan: Any
) -> tuple[list[Request], dict[str, str]]:
    """Requests and the prompt of each, by query_id: for sampling, trials and rollouts alike.

    Args:
        texts: of the corpus by doc_id.
        tokenizer: of the model that is asked.
        template: see :func:`render_requests`.
        document_tokens: see there.
        plan: of :func:`draw_requests`.
    """
    requests = draw_requests(texts, **plan)
    return requests, render_requests(requests, texts, tokenizer, template=template, document_tokens=document_tokens)


def sample_queries(
    model: Any,
    tokenizer: Any,
    prompts: Mapping[str, str],
    documents: Mapping[str, str] | None = None,
    *,
    batch_size: int,
    temperature: float,
    top_p: float,
    top_k: int = 0,
    max_new_tokens: int,
    seed: int | str,
    numbers: Mapping[str, int] | None = None,
    part: tuple[int, int] = (0, 1),
) -> Iterator[dict[str, Answer]]:
    """Sample one completion for each prompt.

    Prompts are sorted by length, those of one document side by side. A query's draws depend on the seed, its prompt and how often that was
    asked before, not on the batch: with other prompts beside it, only rounding differs.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        prompts: text by query_id.
        documents: doc_id by query_id, where several prompts begin with the same document.
        batch_size: prompts at once.
        temperature: 0 decodes greedily.
        top_p: nucleus size; 1 keeps the whole distribution.
        top_k: the likeliest tokens to sample from; 0 is all of them.
        max_new_tokens: of a completion.
        seed: see above.
        numbers: how often each query's prompt was asked before; None counts within ``prompts``.
        part: (i, n) samples every n-th batch from the i-th on: one of n processes.

    Yields:
        Batches of completions as they were written, by query_id.
    """
    model.eval()
    numbers = number_requests(prompts) if numbers is None else numbers
    groups = {query_id: (documents or {}).get(query_id, query_id) for query_id in prompts}
    longest: dict[str, int] = {}
    for query_id, prompt in prompts.items():
        longest[groups[query_id]] = max(longest.get(groups[query_id], 0), len(prompt))
    order = sorted(prompts, key=lambda query_id: (longest[groups[query_id]], groups[query_id], query_id))
    for number, start in enumerate(tqdm(range(0, len(order), batch_size), desc="generating", unit="batch", mininterval=1.0)):
        if number % part[1] != part[0]:
            continue
        ids = order[start : start + batch_size]
        tokens = tokenizer([prompts[i] for i in ids])["input_ids"]
        output = decode(
            model,
            tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            seeds=[seed_of(f"{seed}:{numbers[i]}:{prompts[i]}") for i in ids],
        )
        written = (output != tokenizer.pad_token_id).sum(1).tolist()
        texts = tokenizer.batch_decode(output, skip_special_tokens=True)
        yield {i: Answer(text, len(own), count) for i, text, own, count in zip(ids, texts, tokens, written, strict=True)}


def sample_rows(
    weights: Path,
    documents: Sequence[Document],
    *,
    plan: Mapping[str, Any],
    sampling: Mapping[str, Any],
    cache: Path,
    identity: str,
    device: str,
) -> tuple[list[PseudoQuery], dict[str, float]]:
    """Load a generator, sample the queries that the cache does not have, and mark the unusable ones.

    Several processes take turns at the batches and each come to all rows, the same as one process would.

    Args:
        weights: folder of the generator.
        documents: the corpus.
        plan: of :func:`plan_prompts`.
        sampling: of :func:`sample_queries`.
        cache: file of answers, shared by all rounds and runs.
        identity: what tells these weights from others.
        device: to run on.

    Returns:
        The rows, and what they cost: ``requests`` made, ``cached``, ``prompt_tokens``, ``completion_tokens``, ``tokens_per_second``.
    """
    init_processes()
    model, tokenizer = load_generator(str(weights), device=device)
    requests, prompts = plan_prompts(texts_of(documents), tokenizer, **plan)
    settings = {key: sampling[key] for key in ("temperature", "top_p", "top_k", "max_new_tokens")}
    keys, answers = request_keys(prompts, [identity], settings=settings, seed=sampling["seed"]), AnswerCache(cache)
    missing = {query_id: prompt for query_id, prompt in prompts.items() if keys[query_id] not in answers.answers}
    barrier()  # nobody writes before all have read
    own = {query_id: doc_id for query_id, doc_id, _ in requests}
    started, part = time.perf_counter(), (process_rank(), world_size())
    for batch in sample_queries(model, tokenizer, missing, own, **sampling, numbers=number_requests(prompts), part=part):
        answers.keep({keys[query_id]: answer for query_id, answer in batch.items()})
    answers.answers.update(gather([(key, answers.answers[key]) for key in map(keys.get, missing) if key in answers.answers]))
    seconds = time.perf_counter() - started
    counts = count_answers([answers.answers[keys[i]] for i in missing], cached=len(prompts) - len(missing), seconds=seconds)
    completions = {query_id: answers.answers[key].text for query_id, key in keys.items()}
    return mark_unusable(requests, completions), {**counts, **count_stripped(completions.values())}


def mark_unusable(requests: Sequence[Request], completions: Mapping[str, str]) -> list[PseudoQuery]:
    """One row for each request, its query parsed; those that are empty, hold no query, copy the prompt or repeat another are marked.

    Raises:
        ValueError: a request has no completion.
    """
    rows, seen = [], set()
    for query_id, doc_id, keywords in requests:
        if query_id not in completions:
            raise ValueError(f"query '{query_id}' of document '{doc_id}' was never generated; run the stage again")
        parsed = parse_query(completions[query_id])
        text = parsed.text
        key = (doc_id, normalize_query(text))
        reason = ""
        if not text:
            reason = "no_query" if parsed.stripped else "empty"
        elif text.lower().startswith(("document:", "keywords:")) or text.lower() == keywords.lower() != "":
            reason = "copy"
        elif key in seen:
            reason = "duplicate"
        seen.add(key)
        status: Literal["rejected", "generated"] = "rejected" if reason else "generated"
        rows.append(PseudoQuery(query_id=query_id, text=text, doc_id=doc_id, keywords=keywords, status=status, reason=reason))
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
