"""A model behind an OpenAI-compatible server (vLLM, llama.cpp, a hosted one) as a :class:`tandem.interfaces.LanguageModel`.

Requests run side by side, and each completion is kept as soon as it is there: a killed run pays again only for those under way.
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

from pydantic import Field
from tqdm import tqdm

from tandem.interfaces import Completion, LogLikelihood, SamplingSettings
from tandem.llm.completion_cache import CompletionCache, Costs, request_keys, seed_of
from tandem.llm.echoes import ECHO, read_echo
from tandem.llm.likelihood_cache import LikelihoodCache, pair_keys
from tandem.settings import Coefficient, Count, CountOrZero, PositiveCoefficient, SettingError, Settings
from tandem.text import UNSPACED

__all__ = ["ServedModel", "ServerSettings", "Words"]

V = TypeVar("V")
WORD = re.compile(rf"[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]+")  # as count_words counts
UNKNOWN = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|not supported|does not support|not permitted|extra_forbidden|unexpected", re.IGNORECASE
)
INSTEAD = re.compile(r"\b(supported|use|send|allowed|instead|only)\b", re.IGNORECASE)  # what stands behind is what it would have
CAN_DO_WITHOUT = ("max_tokens", "top_k", "seed", "top_p", "temperature")  # hosted servers know some of them by other names, or not


class ServerSettings(Settings):
    """Where the model is served, and what it costs."""

    url: str
    """up to and with /v1"""
    model: str | None
    """its name there; null asks the server, which must then serve one alone"""
    models: dict[str, str] = Field(default_factory=dict)
    """by generator (g1, g2, ...), where rounds have different models"""
    chat: bool
    """the prompt is a user's turn, put into the server's template; else plain text is completed"""
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
        return {"offset_mapping": [[word.span() for word in WORD.finditer(text)] for text in texts]}


class ServedModel:
    """A model that a server has; it scores where the server repeats prompts with log-probabilities.

    Args:
        server: where.
        generator: the server's model of this name is taken, where it has one; else the one that ``server`` names.
        cache: of completions; None asks for each one anew.
        likelihoods: a cache of them; None asks for each one anew.

    Raises:
        SettingError: the server does not answer, refuses, or serves several models and none is named.
    """

    def __init__(
        self,
        server: ServerSettings,
        generator: str = "",
        *,
        cache: CompletionCache | None = None,
        likelihoods: LikelihoodCache | None = None,
    ) -> None:
        self.server, self.cache, self.likelihoods, self.tokenizer = server, cache, likelihoods, Words()
        self.client = _Client(server)
        self.name = server.models.get(generator) or server.model or self.client.only_model()
        self._costs = Costs()

    def complete(
        self,
        prompts: Sequence[str],
        sampling: SamplingSettings,
        *,
        seed: int | str,
        one_line: bool = False,  # noqa: ARG002 - plain completions always end so, and what a chat model writes around a line is parsed
        groups: Sequence[str] = (),  # noqa: ARG002
    ) -> list[Completion]:
        """A completion of each prompt; see :class:`tandem.interfaces.LanguageModel`.

        Raises:
            SettingError: the server does not answer, or refuses; what it has answered before is kept.
        """
        cache = self.cache or CompletionCache()
        keys = request_keys(prompts, [self.name, self.server.chat], sampling, seed=seed)
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in cache.completions}
        started = time.perf_counter()

        def ask(key: str) -> Completion:
            return self.client.ask(self.name, missing[key], sampling, seed_of(key))

        for key, completion in self._side_by_side(ask, missing, "asking"):
            cache.keep({key: completion}, model=self.label)
        new = [cache.completions[key] for key in missing]
        self._costs.add(new, cached=len(keys) - len(missing), seconds=time.perf_counter() - started)
        return [cache.completions[key] for key in keys]

    def log_likelihood(self, prompts: Sequence[str], completions: Sequence[str]) -> list[LogLikelihood]:
        """How likely each completion is after its prompt, from a server that repeats prompts with log-probabilities (vLLM).

        Raises:
            SettingError: the server takes turns of a chat alone, gives no log-probabilities of a prompt, or a token straddles the border.
        """
        if self.server.chat:
            raise self.client.error("chat", "true found, and a likelihood is one of plain text; set it to false, or load the model here")
        cache = self.likelihoods or LikelihoodCache()
        keys = pair_keys(prompts, completions, [self.label])
        missing = {key: pair for key, *pair in zip(keys, prompts, completions, strict=True) if key not in cache.values}

        def ask(key: str) -> LogLikelihood:
            return self.client.score(self.name, *missing[key])

        for key, value in self._side_by_side(ask, missing, "scoring"):
            cache.keep({key: value}, model=self.label)
        return [cache.values[key] for key in keys]

    def _side_by_side(self, ask: Callable[[str], V], keys: Collection[str], name: str) -> Iterator[tuple[str, V]]:
        """What is asked for each key, as it comes; of a failure, what is not under way is not asked for."""
        with ThreadPoolExecutor(self.server.concurrent) as pool:
            asked = {pool.submit(ask, key): key for key in keys}
            try:
                for done in tqdm(as_completed(asked), total=len(asked), desc=name, unit="prompt", mininterval=1.0):
                    yield asked[done], done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @property
    def label(self) -> str:
        """The name of the model in the cache's file."""
        return f"server:{self.name}"

    @property
    def max_length(self) -> None:
        """Nobody knows how much the server's model reads; the server refuses what is too long."""

    def costs(self) -> dict[str, float]:
        """What all completions so far have cost, with ``cost`` in the currency of the server's prices."""
        counts = self._costs.to_dict()
        cost = counts["prompt_tokens"] * self.server.price_input + counts["completion_tokens"] * self.server.price_output
        return {**counts, "cost": cost / 1e6}


class _Client:
    """The openai client, and the one way in which its errors are told."""

    def __init__(self, server: ServerSettings) -> None:
        import openai

        self.openai, self.server = openai, server
        self.refused: set[str] = set()
        self.lock = threading.Lock()
        key = os.environ.get(server.key_variable, "none")
        self.client = openai.OpenAI(base_url=server.url, api_key=key, timeout=server.timeout_seconds, max_retries=server.retries)

    def only_model(self) -> str:
        """The name of the one model that is served."""
        try:
            names = [model.id for model in self._call(self.client.models.list).data]
        except (self.openai.BadRequestError, self.openai.UnprocessableEntityError) as error:
            raise self._told(error) from None
        if len(names) != 1:
            raise self.error("model", f"null found, and {self.server.url} serves {', '.join(names) or 'no model'}; name one")
        return str(names[0])

    def ask(self, model: str, prompt: str, sampling: SamplingSettings, seed: int) -> Completion:
        """One completion; arguments that the server does not know are renamed or left out, for all requests that follow."""
        while True:
            refused = frozenset(self.refused)
            try:
                return self._ask(model, prompt, _arguments(sampling, seed, refused))
            except (self.openai.BadRequestError, self.openai.UnprocessableEntityError) as error:
                if not self._learn(_refused_names(error), refused):
                    raise self._told(error) from None

    def _ask(self, model: str, prompt: str, arguments: Mapping[str, Any]) -> Completion:
        if self.server.chat:
            reply = self._call(self.client.chat.completions.create, model=model, messages=[_user(prompt)], **arguments)
            text = reply.choices[0].message.content
        else:
            reply = self._call(self.client.completions.create, model=model, prompt=prompt, stop=["\n"], **arguments)
            text = reply.choices[0].text
        usage = reply.usage
        return Completion(text or "", usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0)

    def score(self, model: str, prompt: str, completion: str) -> LogLikelihood:
        """The likelihood of a completion, from the log-probabilities of both as one text."""
        try:
            reply = self._call(self.client.completions.create, model=model, prompt=prompt + completion, **ECHO)
        except (self.openai.BadRequestError, self.openai.UnprocessableEntityError) as error:
            raise self._told(error) from None
        try:
            return read_echo(reply, completion)
        except ValueError as error:
            remedy = "take a server that has both, as vLLM, or load the model here"
            raise self.error("url", f"{self.server.url} answered echo and logprobs with {error}; {remedy}") from None

    def _learn(self, names: Sequence[str], refused: frozenset[str]) -> bool:
        """Whether a refusal names arguments that can do without, and were not known to."""
        new = [name for name in names if name not in refused]
        with self.lock:
            for name in (name for name in new if name not in self.refused):
                self.refused.add(name)
                instead = "max_completion_tokens takes its place" if name == "max_tokens" else "the server's default takes its place"
                warnings.warn(f"{self.server.url} does not take {name}: {instead}", stacklevel=2)
        return bool(new)

    def _call(self, function: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return function(**arguments)
        except (self.openai.BadRequestError, self.openai.UnprocessableEntityError):
            raise
        except self.openai.APIStatusError as error:
            raise self._told(error) from None
        except self.openai.APIConnectionError:
            raise self.error(
                "url",
                f"{self.server.url} does not answer within {self.server.timeout_seconds:g} s; start a server there "
                "(`vllm serve MODEL`), or take a model that is loaded here",
            ) from None

    def error(self, key: str, problem: str) -> SettingError:
        """An error about one of the server's settings."""
        error = SettingError(key, problem)
        error.settings = self.server
        return error

    def _told(self, error: Any) -> SettingError:
        message = str(error.message) if len(str(error.message)) > 40 or not error.body else f"{error.message}: {error.body}"
        return self.error("url", f"{self.server.url} answered {error.status_code}: {' '.join(message.split())[:300]}")


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


def _arguments(sampling: SamplingSettings, seed: int, refused: frozenset[str]) -> dict[str, Any]:
    """Of a request, without what the server has refused."""
    known = {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": seed}
    arguments: dict[str, Any] = {name: value for name, value in known.items() if name not in refused}
    arguments["max_completion_tokens" if "max_tokens" in refused else "max_tokens"] = sampling.max_new_tokens
    if sampling.top_k and "top_k" not in refused:
        arguments["extra_body"] = {"top_k": sampling.top_k}
    return arguments
