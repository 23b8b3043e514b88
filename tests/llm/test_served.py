"""Queries from an OpenAI-compatible server: asked once each, cached by content, bad servers told in one line."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tandem.generators.prompts import PromptedSettings, PromptSettings, QueryPrompts
from tandem.generators.queries import complete_requests, count_stripped, mark_unusable
from tandem.generators.requests import RequestSettings, plan_requests
from tandem.interfaces import LogLikelihood, SamplingSettings
from tandem.llm.completion_cache import CompletionCache
from tandem.llm.likelihood_cache import LikelihoodCache
from tandem.llm.served import ServedModel, ServerSettings, Words
from tandem.records import Document, PseudoQuery
from tandem.settings import SettingError

PLAN: dict[str, Any] = {
    "prefix": "r1",
    "sampled_documents": 3,
    "queries_per_document": 2,
    "template": "Write a query.\nDocument: {document}\nQuery:",
    "document_tokens": 4,
    "keywords": 0,
    "seed": 13,
}
SAMPLING: dict[str, Any] = {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "max_new_tokens": 8}
CORPUS = [Document(doc_id=f"d{i}", text=f"text number {i} goes on and on") for i in range(3)]


class Served:
    """What the fake server was asked, and how it behaves."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.models = ["tiny"]
        self.fail_after: int | None = None
        self.status = 400
        self.refuses: dict[str, str] = {}
        self.answer_refused: tuple[int, dict[str, Any]] | None = None
        self.echo: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.lock = threading.Lock()


@pytest.fixture
def served() -> Iterator[tuple[Served, ServerSettings]]:
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in state.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                if state.fail_after is not None and len(state.asked) >= state.fail_after:
                    return self.reply(state.status, {"error": {"message": "no such model"}})
                if state.answer_refused and {"top_k", "max_tokens"} & set(body):
                    return self.reply(*state.answer_refused)
                named = next((message for name, message in state.refuses.items() if name in body), None)
                if named:
                    return self.reply(400, {"error": {"message": named, "type": "invalid_request_error"}})
                state.asked.append({"path": self.path, "key": self.headers["Authorization"], **body})
            text = f" query {body.get('seed', len(state.asked))}\nand more"
            usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
            choice = {"index": 0, "finish_reason": "stop"}
            if state.echo and body.get("echo"):
                echoed = state.echo(body)
                usage["prompt_tokens"] = echoed["prompt_tokens"]
                choice["logprobs"] = {"top_logprobs": None, "text_offset": [], **echoed["logprobs"]}
            choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
            return self.reply(200, {"id": "x", "object": "x", "created": 0, "model": body["model"], "choices": [choice], "usage": usage})

        def reply(self, status: int, content: dict[str, Any]) -> None:
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield state, server(http.server_port)
        http.shutdown()
        thread.join()


def server(port: int, **changes: Any) -> ServerSettings:
    own = {"url": f"http://127.0.0.1:{port}/v1", "model": None, "models": {}, "chat": True, "key_variable": "TEST_KEY", "concurrent": 2}
    return ServerSettings(**{**own, "timeout_seconds": 5.0, "retries": 0, "price_input": 1.0, "price_output": 2.0, **changes})


def served_rows(
    documents: list[Document], *, generator: str, server: ServerSettings, plan: dict[str, Any], sampling: dict[str, Any], cache: Path
) -> tuple[list[PseudoQuery], dict[str, float]]:
    """What `generate_queries` does with a server."""
    model = ServedModel(server, generator, cache=CompletionCache(cache))
    shape = {key: plan[key] for key in ("template", "document_tokens", "keywords")}
    prompted = PromptedSettings(prompt=PromptSettings(**shape, ignored_words=[]), language="english")
    settings = RequestSettings(sampled_documents=plan["sampled_documents"], queries_per_document=plan["queries_per_document"])
    texts = {document.doc_id: document.text for document in documents}
    requests = plan_requests(texts, settings, prompted, prefix=plan["prefix"], seed=plan["seed"])
    prompts = QueryPrompts(model.tokenizer, prompted.prompt)
    completions = complete_requests(model, requests, texts, prompts, SamplingSettings(**sampling), seed=plan["seed"])
    return mark_unusable(requests, completions), {**model.costs(), **count_stripped(completions)}


def test_every_query_is_asked_for_once(served: tuple[Served, ServerSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "secret")
    state, where = served
    own: dict[str, Any] = {"generator": "g1", "server": where, "sampling": SAMPLING, "cache": tmp_path / "answers.jsonl"}
    rows, counts = served_rows(CORPUS, plan=PLAN, **own)
    assert [row.query_id for row in rows] == [f"r1-{i}" for i in range(6)]
    assert all(row.text.startswith("query ") and "more" not in row.text for row in rows)
    assert len({row.text for row in rows}) == 6, "the same prompt asked twice has two seeds"
    assert {asked["path"] for asked in state.asked} == {"/v1/chat/completions"}
    assert {asked["key"] for asked in state.asked} == {"Bearer secret"}
    first = state.asked[0]
    assert (first["model"], first["temperature"], first["top_p"], first["top_k"], first["max_tokens"]) == ("tiny", 0.7, 0.9, 20, 8)
    assert first["messages"][0]["content"].count("\n") == 2
    assert "goes on" not in first["messages"][0]["content"], "the document is cut to four words"
    assert {key: counts[key] for key in ("requests", "cached", "prompt_tokens", "completion_tokens")} == {
        "requests": 6,
        "cached": 0,
        "prompt_tokens": 60,
        "completion_tokens": 18,
    }
    assert counts["cost"] == pytest.approx((60 * 1 + 18 * 2) / 1e6)
    again, counts = served_rows(CORPUS, plan=PLAN, **own)
    assert again == rows
    assert (counts["requests"], counts["cached"], len(state.asked)) == (0, 6, 6)


def test_a_grown_corpus_pays_for_what_is_new(served: tuple[Served, ServerSettings], tmp_path: Path) -> None:
    state, where = served
    own: dict[str, Any] = {"generator": "g1", "server": where, "sampling": SAMPLING, "cache": tmp_path / "answers.jsonl"}
    plan = {**PLAN, "sampled_documents": 9}
    before, _ = served_rows(CORPUS, plan=plan, **own)
    grown, counts = served_rows([Document(doc_id="a", text="a new one"), *CORPUS], plan=plan, **own)
    assert (counts["requests"], counts["cached"]) == (2, 6)
    texts = {(row.doc_id, row.text) for row in grown}
    assert {(row.doc_id, row.text) for row in before} < texts
    served_rows(CORPUS, plan={**plan, "seed": 14}, **own)
    assert len(state.asked) == 6 + 2 + 6


def test_what_was_answered_before_a_failure_is_kept(served: tuple[Served, ServerSettings], tmp_path: Path) -> None:
    state, where = served
    state.fail_after = 4
    own: dict[str, Any] = {
        "generator": "g1",
        "server": server(int(where.url.split(":")[2].split("/")[0]), concurrent=1),
        "sampling": SAMPLING,
    }
    with pytest.raises(SettingError, match=r"url: .* answered 400: .*no such model"):
        served_rows(CORPUS, plan=PLAN, **own, cache=tmp_path / "answers.jsonl")
    kept = (tmp_path / "answers.jsonl").read_bytes()
    assert 1 <= len(kept.splitlines()) <= 4
    (tmp_path / "answers.jsonl").write_bytes(kept + b'["torn')
    state.fail_after = None
    rows, counts = served_rows(CORPUS, plan=PLAN, **own, cache=tmp_path / "answers.jsonl")
    assert counts["cached"] == len(kept.splitlines())
    fresh, _ = served_rows(CORPUS, plan=PLAN, **own, cache=tmp_path / "other.jsonl")
    assert rows == fresh
    assert len(CompletionCache(tmp_path / "answers.jsonl").completions) == 6


def test_plain_completion_and_a_model_of_its_own(served: tuple[Served, ServerSettings], tmp_path: Path) -> None:
    state, where = served
    state.models = ["a", "b"]
    own: dict[str, Any] = {"sampling": SAMPLING, "cache": tmp_path / "answers.jsonl", "plan": PLAN}
    port = int(where.url.split(":")[2].split("/")[0])
    with pytest.raises(SettingError, match="serves a, b; name one"):
        served_rows(CORPUS, generator="g1", server=where, **own)
    served_rows(CORPUS, generator="g2", server=server(port, chat=False, model="a", models={"g2": "b"}), **own)
    assert {(asked["path"], asked["model"], asked["stop"][0]) for asked in state.asked} == {("/v1/completions", "b", "\n")}


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="does not answer within 5 s; start a server"):
        served_rows(CORPUS, generator="g1", server=server(9, model="x"), plan=PLAN, sampling=SAMPLING, cache=tmp_path / "a.jsonl")


def test_words_cut_like_a_tokenizer() -> None:
    assert Words()(["ab  c"]) == {"offset_mapping": [[(0, 2), (4, 5)]]}


def test_a_hosted_server_with_names_of_its_own(served: tuple[Served, ServerSettings], tmp_path: Path) -> None:
    """Hosted servers know max_completion_tokens and neither max_tokens nor top_k; what they refuse once is not sent again."""
    state, where = served
    state.refuses = {
        "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "top_k": "Unrecognized request argument supplied: top_k",
        "seed": "Unknown parameter: 'seed'.",
    }
    settings: dict[str, Any] = {"generator": "g1", "server": where, "sampling": SAMPLING, "cache": tmp_path / "answers.jsonl"}
    with pytest.warns(UserWarning, match="does not take (max_tokens|top_k|seed)"):
        rows, counts = served_rows(CORPUS, plan=PLAN, **settings)
    assert counts["requests"] == len(rows) == len(state.asked) == 6
    assert all(body["max_completion_tokens"] == 8 and not {"max_tokens", "top_k", "seed"} & set(body) for body in state.asked)
    assert all(body["temperature"] == 0.7 for body in state.asked)


@pytest.mark.parametrize(
    ("status", "content", "left_out"),
    [
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "no"} for name in ("top_k", "max_tokens")]}, {"top_k"}),
        (400, {"error": {"message": "Unknown argument ['max_tokens', 'top_k']. Supported: temperature, top_p, seed"}}, {"top_k"}),
    ],
    ids=["a FastAPI server", "a list of names"],
)
def test_several_names_at_once(
    served: tuple[Served, ServerSettings], tmp_path: Path, status: int, content: dict[str, Any], left_out: set[str]
) -> None:
    state, where = served
    state.answer_refused = (status, content)
    settings: dict[str, Any] = {"generator": "g1", "server": where, "sampling": SAMPLING, "cache": tmp_path / "answers.jsonl"}
    with pytest.warns(UserWarning, match="does not take"):
        rows, _ = served_rows(CORPUS, plan=PLAN, **settings)
    assert len(rows) == len(state.asked) == 6
    assert all({"temperature", "top_p", "seed", "max_completion_tokens"} <= set(body) for body in state.asked)
    assert not any(left_out & set(body) for body in state.asked)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, {"error": {"message": "temperature must be between 0 and 0.5", "param": "temperature", "code": "invalid_value"}}),
        (422, {"detail": [{"type": "less_than_equal", "loc": ["body", "top_k"], "msg": "Input should be less than or equal to 5"}]}),
    ],
)
def test_a_value_that_a_server_does_not_like_is_no_unknown_name(
    served: tuple[Served, ServerSettings], tmp_path: Path, status: int, content: dict[str, Any]
) -> None:
    """Left out, it would sample at another temperature than params.yaml has, and be cached as if it had not."""
    state, where = served
    state.answer_refused = (status, content)
    settings: dict[str, Any] = {"generator": "g1", "server": where, "sampling": SAMPLING, "cache": tmp_path / "answers.jsonl"}
    with pytest.raises(SettingError, match=rf"answered {status}: .*(0.5|less than)"):
        served_rows(CORPUS, plan=PLAN, **settings)
    assert state.asked == []


def test_the_field_of_an_error_counts_before_its_words(served: tuple[Served, ServerSettings], tmp_path: Path) -> None:
    state, where = served
    message = "Unsupported parameter; max_tokens and temperature are supported"
    state.answer_refused = (400, {"error": {"message": message, "param": "top_k", "code": "unsupported_parameter"}})
    settings: dict[str, Any] = {"generator": "g1", "server": where, "sampling": SAMPLING, "cache": tmp_path / "answers.jsonl"}
    with pytest.warns(UserWarning, match="does not take top_k"), pytest.raises(SettingError, match="answered 400"):
        served_rows(CORPUS, plan=PLAN, **settings)  # this one refuses max_tokens too, under the name of top_k


def test_a_refusal_that_nothing_mends_is_told_in_a_line(served: tuple[Served, ServerSettings], tmp_path: Path) -> None:
    state, where = served
    state.refuses = {"messages": "unknown fields: temperature, messages"}
    settings: dict[str, Any] = {"generator": "g1", "server": where, "sampling": SAMPLING, "cache": tmp_path / "answers.jsonl"}
    with pytest.warns(UserWarning, match="temperature"), pytest.raises(SettingError, match=r"answered 400: .*unknown fields"):
        served_rows(CORPUS, plan=PLAN, **settings)


LOG_PROBS = {"a": -1.0, "b": -0.5, " c": -0.25, " d": -2.0, "e": -4.0}


def echoing(body: dict[str, Any]) -> dict[str, Any]:
    """What vLLM has of a prompt: a start token that is not in the text, no value for it, and the token that it generated."""
    assert body["max_tokens"] == body["logprobs"] == 1
    tokens = re.findall(r" ?\w", body["prompt"])
    assert "".join(tokens) == body["prompt"]
    values = [None, *(LOG_PROBS[token] for token in tokens), -9.0]
    return {"prompt_tokens": len(tokens) + 1, "logprobs": {"tokens": ["<s>", *tokens, " more"], "token_logprobs": values}}


def test_a_server_that_repeats_prompts_scores(served: tuple[Served, ServerSettings], tmp_path: Path) -> None:
    state, where = served
    state.echo = echoing
    path = tmp_path / "likelihoods.jsonl"
    plain = where.model_copy(update={"chat": False})
    model = ServedModel(plain, likelihoods=LikelihoodCache(path))
    pairs: tuple[list[str], list[str]] = (["a", "b", "a"], [" c d", "e", " c d"])
    expected = [LogLikelihood(-2.25, 2), LogLikelihood(-4.0, 1), LogLikelihood(-2.25, 2)]
    assert model.log_likelihood(*pairs) == expected
    assert [(body["path"], body["echo"]) for body in state.asked] == [("/v1/completions", True)] * 2, "the same pair is asked for once"
    again = ServedModel(plain, likelihoods=LikelihoodCache(path))
    assert again.log_likelihood(*pairs) == expected
    assert len(state.asked) == 2
    with pytest.raises(SettingError, match="' d' is not a part of 'd'"):
        model.log_likelihood(["a c "], ["d"])


@pytest.mark.parametrize("what", ["chat", "nothing", "generated alone"])
def test_a_server_that_repeats_no_prompt_says_so(served: tuple[Served, ServerSettings], what: str) -> None:
    state, where = served
    if what == "generated alone":
        state.echo = lambda _: {"prompt_tokens": 5, "logprobs": {"tokens": [" more"], "token_logprobs": [-1.0]}}
    model = ServedModel(where.model_copy(update={"chat": what == "chat"}))
    problem = {"chat": "chat: true found, and a likelihood is", "nothing": "no log-prob", "generated alone": "of what it generates alone"}
    with pytest.raises(SettingError, match=f"{problem[what]}.*load the model here") as told:
        model.log_likelihood(["a", "b"], ["c", "d"])
    assert told.value.settings is model.server
    assert bool(state.asked) == (what != "chat")


def test_a_refused_likelihood_is_told_as_the_server_tells_it(served: tuple[Served, ServerSettings]) -> None:
    state, where = served
    state.refuses = {"echo": "echo is not supported with this model"}
    with pytest.raises(SettingError, match=r"url: .* answered 400: .*echo is not supported"):
        ServedModel(where.model_copy(update={"chat": False})).log_likelihood(["a"], ["b"])
