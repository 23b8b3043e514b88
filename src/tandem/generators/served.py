"""Queries from a model behind an OpenAI-compatible server (vLLM, llama.cpp, a hosted one): concurrent, cached by content, counted.

A request's key is the digest of everything that decides its answer: model, prompt, sampling and seed. An answer is written down as soon as
it comes, so a killed run pays again only for the requests that were under way, and a corpus that has grown only for what is new.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from tandem.formats.jsonl import InputError
from tandem.generators.sampling import Request, mark_unusable, plan_prompts
from tandem.records import Document, PseudoQuery

__all__ = ["AnswerCache", "Server", "Words", "served_rows"]

WORD = re.compile(r"\S+")


class Server(BaseModel):
    """Where the model is served, and what it costs."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    url: str
    """up to and with /v1"""
    model: str | None
    """its name there; null asks the server, which must then serve one alone"""
    models: dict[str, str] = Field(default_factory=dict)
    """by generator (g1, g2, ...), where rounds have models of their own"""
    chat: bool
    """the prompt is a user's turn, put into the server's own template; else plain text is completed"""
    key_variable: str
    """environment variable that holds the key; a server without keys needs none"""
    concurrent: int = Field(ge=1)
    """requests under way at once"""
    timeout_seconds: float = Field(gt=0)
    retries: int = Field(ge=0)
    """of a request, with growing pauses"""
    price_input: float = Field(ge=0)
    """of a million prompt tokens, in whatever currency the report is to be in"""
    price_output: float = Field(ge=0)
    """of a million generated tokens"""


class Words:
    """Cuts documents by words, where the served model's tokenizer is not at hand; shaped as the tokenizers that prompts know."""

    chat_template = None

    def __call__(self, texts: Sequence[str], **_: Any) -> dict[str, list[list[tuple[int, int]]]]:
        """Where each word begins and ends, as ``offset_mapping``."""
        return {"offset_mapping": [[found.span() for found in WORD.finditer(text)] for text in texts]}


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion with its tokens."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class AnswerCache:
    """Answers by the content of their request, in a file of one JSON line each; a last line that a kill cut off is passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = dict(self._read()) if path.exists() else {}
        self.torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")

    def _read(self) -> Iterator[tuple[str, Answer]]:
        for line in self.path.read_bytes().splitlines():
            try:
                key, *answer = orjson.loads(line)
            except (orjson.JSONDecodeError, ValueError):
                continue
            yield key, Answer(*answer)

    def keep(self, key: str, answer: Answer) -> None:
        """Write an answer down."""
        self.answers[key] = answer
        self.path.parent.mkdir(parents=True, exist_ok=True)
        row = [key, answer.text, answer.prompt_tokens, answer.completion_tokens]
        with self.path.open("ab") as file:
            file.write((b"\n" if self.torn else b"") + orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self.torn = False


def served_rows(
    documents: Sequence[Document], *, generator: str, server: Server, plan: Mapping[str, Any], sampling: Mapping[str, Any], cache: Path
) -> tuple[list[PseudoQuery], dict[str, float]]:
    """Ask the server for every query that the cache does not have, and mark the unusable ones.

    Args:
        documents: the corpus.
        generator: whose queries are wanted; its own model, if the server has one for it.
        server: where.
        plan: of :func:`tandem.generators.sampling.plan_prompts`; ``document_tokens`` counts words here.
        sampling: ``temperature``, ``top_p``, ``top_k`` and ``maximum_new_tokens``, as the local model has them.
        cache: file of answers, shared by all rounds and runs.

    Returns:
        The rows, and what they cost: ``requests`` made, ``cached``, ``prompt_tokens``, ``completion_tokens``, ``tokens_per_second``,
        ``cost``.

    Raises:
        InputError: the server does not answer, refuses, or serves several models and none is named.
    """
    client = _Client(server, generator)
    requests, prompts = plan_prompts(documents, Words(), **plan)
    settings = {key: sampling[key] for key in ("temperature", "top_p", "top_k", "maximum_new_tokens")}
    wanted = _keys(requests, prompts, client.model, chat=server.chat, settings=settings, seed=plan["seed"])
    answers = AnswerCache(cache)
    missing = {key: query_id for query_id, key in wanted.items() if key not in answers.answers}
    started = time.perf_counter()
    with ThreadPoolExecutor(server.concurrent) as pool:
        asked = {pool.submit(client.ask, prompts[query_id], settings, _seed(key)): key for key, query_id in missing.items()}
        try:
            for done in tqdm(as_completed(asked), total=len(asked), desc="asking", unit="query", mininterval=1.0):
                answers.keep(asked[done], done.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    seconds = time.perf_counter() - started
    found = [answers.answers[key] for key in missing]
    counts = _counts(found, cached=len(wanted) - len(missing), seconds=seconds, server=server)
    return mark_unusable(requests, {query_id: answers.answers[key].text for query_id, key in wanted.items()}), counts


def _counts(found: Sequence[Answer], *, cached: int, seconds: float, server: Server) -> dict[str, float]:
    read, written = sum(answer.prompt_tokens for answer in found), sum(answer.completion_tokens for answer in found)
    return {
        "requests": len(found),
        "cached": cached,
        "prompt_tokens": read,
        "completion_tokens": written,
        "tokens_per_second": written / seconds if found else 0.0,
        "cost": (read * server.price_input + written * server.price_output) / 1e6,
    }


def _keys(
    requests: Sequence[Request], prompts: Mapping[str, str], model: str, *, chat: bool, settings: Mapping[str, Any], seed: int
) -> dict[str, str]:
    """The key of each request; the same prompt asked again is another request, by how often it was asked before."""
    asked: dict[str, int] = {}
    keys = {}
    for query_id, _, _ in requests:
        prompt = prompts[query_id]
        content = [model, chat, prompt, dict(sorted(settings.items())), seed, asked.get(prompt, 0)]
        asked[prompt] = asked.get(prompt, 0) + 1
        keys[query_id] = hashlib.sha256(orjson.dumps(content)).hexdigest()[:32]
    return keys


def _seed(key: str) -> int:
    return zlib.crc32(key.encode()) & 0x7FFFFFFF


class _Client:
    """The openai client, and the one way in which its errors are told."""

    def __init__(self, server: Server, generator: str) -> None:
        import openai

        self.openai, self.server = openai, server
        key = os.environ.get(server.key_variable, "none")
        self.client = openai.OpenAI(base_url=server.url, api_key=key, timeout=server.timeout_seconds, max_retries=server.retries)
        self.model = server.models.get(generator) or server.model or self._only_model()

    def _only_model(self) -> str:
        names = [model.id for model in self._call(self.client.models.list).data]
        if len(names) != 1:
            raise InputError(
                f"generate_queries.served.model: null found, and {self.server.url} serves {', '.join(names) or 'no model'}; name one"
            )
        return str(names[0])

    def ask(self, prompt: str, settings: Mapping[str, Any], seed: int) -> Answer:
        """One completion."""
        own: dict[str, Any] = {
            "model": self.model,
            "temperature": settings["temperature"],
            "top_p": settings["top_p"],
            "max_tokens": settings["maximum_new_tokens"],
            "seed": seed,
            "extra_body": {"top_k": settings["top_k"]} if settings["top_k"] else {},
        }
        if self.server.chat:
            reply = self._call(self.client.chat.completions.create, messages=[{"role": "user", "content": prompt}], **own)
            text = reply.choices[0].message.content
        else:
            reply = self._call(self.client.completions.create, prompt=prompt, stop=["\n"], **own)
            text = reply.choices[0].text
        usage = reply.usage
        return Answer(text or "", usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0)

    def _call(self, function: Any, **arguments: Any) -> Any:
        try:
            return function(**arguments)
        except self.openai.APIStatusError as error:
            raise InputError(
                f"generate_queries.served.url: {self.server.url} answered {error.status_code}: {error.message[:300]}"
            ) from None
        except self.openai.APIConnectionError:
            raise InputError(
                f"generate_queries.served.url: {self.server.url} does not answer within {self.server.timeout_seconds:g} s; start a server "
                "there (`vllm serve MODEL`), or set generate_queries.backend: model"
            ) from None
