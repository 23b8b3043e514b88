"""Queries from a model behind an OpenAI-compatible server (vLLM, llama.cpp, a hosted one): concurrent, cached by content, counted.

A killed run pays again only for the requests that were under way, and a corpus that has grown only for what is new.
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from pydantic import Field
from tqdm import tqdm

from tandem.formats.jsonl import InputError
from tandem.formats.texts import texts_of
from tandem.generators.answers import Answer, AnswerCache, count_answers, request_keys, seed_of
from tandem.generators.sampling import count_stripped, mark_unusable, plan_prompts
from tandem.records import Document, PseudoQuery
from tandem.settings import Coefficient, Count, CountOrZero, PositiveCoefficient, Settings
from tandem.text import UNSPACED

__all__ = ["Server", "Words", "served_rows"]

WORD = re.compile(rf"[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]+")  # as count_words counts
UNKNOWN = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|not supported|does not support|not permitted|extra_forbidden|unexpected", re.IGNORECASE
)
INSTEAD = re.compile(r"\b(supported|use|send|allowed|instead|only)\b", re.IGNORECASE)  # what stands behind is what it would have
CAN_DO_WITHOUT = ("max_tokens", "top_k", "seed", "top_p", "temperature")  # hosted servers know some of them by other names, or not


class Server(Settings):
    """Where the model is served, and what it costs."""

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
    concurrent: Count
    """requests under way at once"""
    timeout_seconds: PositiveCoefficient
    retries: CountOrZero
    """of a request, with growing pauses"""
    price_input: Coefficient
    """of a million prompt tokens, in whatever currency the report is to be in"""
    price_output: Coefficient
    """of a million generated tokens"""


class Words:
    """Cuts documents by words, where the served model's tokenizer is not at hand; shaped as the tokenizers that prompts know."""

    chat_template = None

    def __call__(self, texts: Sequence[str], **_: Any) -> dict[str, list[list[tuple[int, int]]]]:
        """Where each word begins and ends, as ``offset_mapping``."""
        return {"offset_mapping": [[found.span() for found in WORD.finditer(text)] for text in texts]}


def served_rows(
    documents: Sequence[Document], *, generator: str, server: Server, plan: Mapping[str, Any], sampling: Mapping[str, Any], cache: Path
) -> tuple[list[PseudoQuery], dict[str, float]]:
    """Ask the server for every query that the cache does not have, and mark the unusable ones.

    Args:
        documents: the corpus.
        generator: whose queries are wanted; its own model, if the server has one for it.
        server: where.
        plan: of :func:`tandem.generators.sampling.plan_prompts`; ``document_tokens`` counts words here.
        sampling: ``temperature``, ``top_p``, ``top_k`` and ``max_new_tokens``, as the local model has them.
        cache: file of answers, shared by all rounds and runs.

    Returns:
        The rows, and what they cost: ``requests`` made, ``cached``, ``prompt_tokens``, ``completion_tokens``, ``tokens_per_second``,
        ``cost``.

    Raises:
        InputError: the server does not answer, refuses, or serves several models and none is named.
    """
    client = _Client(server, generator)
    requests, prompts = plan_prompts(texts_of(documents), Words(), **plan)
    settings = {key: sampling[key] for key in ("temperature", "top_p", "top_k", "max_new_tokens")}
    wanted = request_keys(prompts, [client.model, server.chat], settings=settings, seed=plan["seed"])
    answers = AnswerCache(cache)
    missing = {key: query_id for query_id, key in wanted.items() if key not in answers.answers}
    started = time.perf_counter()
    with ThreadPoolExecutor(server.concurrent) as pool:
        asked = {pool.submit(client.ask, prompts[query_id], settings, seed_of(key)): key for key, query_id in missing.items()}
        try:
            for done in tqdm(as_completed(asked), total=len(asked), desc="asking", unit="query", mininterval=1.0):
                answers.keep({asked[done]: done.result()})
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    seconds = time.perf_counter() - started
    found = [answers.answers[key] for key in missing]
    counts = count_answers(found, cached=len(wanted) - len(missing), seconds=seconds)
    counts["cost"] = (counts["prompt_tokens"] * server.price_input + counts["completion_tokens"] * server.price_output) / 1e6
    completions = {query_id: answers.answers[key].text for query_id, key in wanted.items()}
    return mark_unusable(requests, completions), {**counts, **count_stripped(completions.values())}


class _Client:
    """The openai client, and the one way in which its errors are told."""

    def __init__(self, server: Server, generator: str) -> None:
        import openai

        self.openai, self.server = openai, server
        self.refused: set[str] = set()
        self.lock = threading.Lock()
        key = os.environ.get(server.key_variable, "none")
        self.client = openai.OpenAI(base_url=server.url, api_key=key, timeout=server.timeout_seconds, max_retries=server.retries)
        self.model = server.models.get(generator) or server.model or self._only_model()

    def _only_model(self) -> str:
        try:
            names = [model.id for model in self._call(self.client.models.list).data]
        except (self.openai.BadRequestError, self.openai.UnprocessableEntityError) as error:
            raise self._told(error) from None
        if len(names) != 1:
            raise InputError(
                f"generate_queries.served.model: null found, and {self.server.url} serves {', '.join(names) or 'no model'}; name one"
            )
        return str(names[0])

    def ask(self, prompt: str, settings: Mapping[str, Any], seed: int) -> Answer:
        """One completion; arguments that the server does not know are renamed or left out, for all requests that follow."""
        while True:
            refused = frozenset(self.refused)
            try:
                return self._ask(prompt, _arguments(settings, seed, refused))
            except (self.openai.BadRequestError, self.openai.UnprocessableEntityError) as error:
                if not self._learn(_refused_names(error), refused):
                    raise self._told(error) from None

    def _ask(self, prompt: str, arguments: Mapping[str, Any]) -> Answer:
        if self.server.chat:
            reply = self._call(self.client.chat.completions.create, model=self.model, messages=[_user(prompt)], **arguments)
            text = reply.choices[0].message.content
        else:
            reply = self._call(self.client.completions.create, model=self.model, prompt=prompt, stop=["\n"], **arguments)
            text = reply.choices[0].text
        usage = reply.usage
        return Answer(text or "", usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0)

    def _learn(self, names: Sequence[str], refused: frozenset[str]) -> bool:
        """Whether a refusal names arguments that can do without, and were not known to."""
        new = [name for name in names if name not in refused]
        with self.lock:
            for name in (name for name in new if name not in self.refused):
                self.refused.add(name)
                instead = "max_completion_tokens takes its place" if name == "max_tokens" else "its own default takes its place"
                warnings.warn(f"{self.server.url} does not take {name}: {instead}", stacklevel=2)
        return bool(new)

    def _call(self, function: Any, **arguments: Any) -> Any:
        try:
            return function(**arguments)
        except (self.openai.BadRequestError, self.openai.UnprocessableEntityError):
            raise
        except self.openai.APIStatusError as error:
            raise self._told(error) from None
        except self.openai.APIConnectionError:
            raise InputError(
                f"generate_queries.served.url: {self.server.url} does not answer within {self.server.timeout_seconds:g} s; start a server "
                "there (`vllm serve MODEL`), or set generate_queries.backend: model"
            ) from None

    def _told(self, error: Any) -> InputError:
        message = str(error.message) if len(str(error.message)) > 40 or not error.body else f"{error.message}: {error.body}"
        return InputError(f"generate_queries.served.url: {self.server.url} answered {error.status_code}: {' '.join(message.split())[:300]}")


def _refused_names(error: Any) -> list[str]:
    """The arguments that a refusal calls unknown or unsupported; none where it is their value that it does not like.

    By the field that OpenAI's errors have, then by pydantic's details (FastAPI servers), then by the message, up to what it would have.
    """
    body = error.body if isinstance(error.body, Mapping) else {}
    message = str(body.get("message") or error.message)
    if not UNKNOWN.search(f"{message} {error.code or ''} {error.type or ''} {body.get('detail', '')}"):
        return []
    if error.param in CAN_DO_WITHOUT:
        return [error.param]
    details = body.get("detail")
    if isinstance(details, list):
        places = [entry["loc"][-1] for entry in details if isinstance(entry, Mapping) and entry.get("loc")]
        return [name for name in CAN_DO_WITHOUT if name in places]
    named = INSTEAD.split(message)[0]
    return [name for name in CAN_DO_WITHOUT if re.search(rf"\b{name}\b", named)]


def _user(prompt: str) -> dict[str, str]:
    return {"role": "user", "content": prompt}


def _arguments(settings: Mapping[str, Any], seed: int, refused: frozenset[str]) -> dict[str, Any]:
    """Of a request, without what the server has refused."""
    wanted = {"temperature": settings["temperature"], "top_p": settings["top_p"], "seed": seed}
    arguments: dict[str, Any] = {name: value for name, value in wanted.items() if name not in refused}
    arguments["max_completion_tokens" if "max_tokens" in refused else "max_tokens"] = settings["max_new_tokens"]
    if settings["top_k"] and "top_k" not in refused:
        arguments["extra_body"] = {"top_k": settings["top_k"]}
    return arguments
