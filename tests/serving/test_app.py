"""The service over HTTP: what it answers, what it refuses and why, what it counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import TEXTS
from fastapi.testclient import TestClient
from ir_measures import ScoredDoc

from tandem.records import Document
from tandem.retrievers.bm25 import BM25Index
from tandem.serving.app import LONGEST_QUERY, ServiceSettings, create_app

DOCUMENTS = {doc_id: Document(doc_id=doc_id, title="A <b>title</b>", text=text) for doc_id, text in TEXTS.items()}


class Held:
    """BM25 that waits until it is let go, and counts how often it is asked."""

    def __init__(self) -> None:
        self.index, self.asked, self.free = BM25Index(TEXTS), 0, threading.Event()
        self.free.set()

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank, when it may."""
        self.asked += 1
        assert self.free.wait(20)
        if "fail" in queries.values():
            raise RuntimeError("a secret of the inside")
        return self.index.search(queries, depth=depth)


@pytest.fixture
def held() -> Held:
    return Held()


def client_of(held: Held, *, key: str | None = None, **settings: Any) -> TestClient:
    app = create_app(held, DOCUMENTS, ServiceSettings(**settings), key=key)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def client(held: Held) -> Iterator[TestClient]:
    with client_of(held) as client:
        yield client


def test_both_ways_to_search_find_the_same(client: TestClient, held: Held) -> None:
    asked = client.get("/search", params={"q": "sort rows", "number": 2})
    posted = client.post("/search", json={"query": "sort rows", "number": 2})
    assert asked.status_code == posted.status_code == 200
    assert asked.json()["results"] == posted.json()["results"]
    assert held.asked == 1, "the second time it is remembered"
    first = asked.json()["results"][0]
    assert (first["rank"], first["doc_id"], first["text"]) == (1, "sort", TEXTS["sort"])
    assert client.get("/documents/sort").json()["text"] == TEXTS["sort"]
    assert client.get("/search", params={"q": "zzzz"}).json()["results"] == []


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "reason"),
    [
        ("GET", "/search", {}, 422, "q: Field required"),
        ("GET", "/search?q=", {}, 422, "at least 1 character"),
        ("GET", "/search?q=%20%20", {}, 422, "pattern"),
        ("GET", "/search?q=" + "a" * (LONGEST_QUERY + 1), {}, 422, "at most 2000 characters"),
        ("GET", "/search?q=a&number=0", {}, 422, "number: .*greater than or equal to 1"),
        ("GET", "/search?q=a&number=101", {}, 422, "number: .*less than or equal to 100"),
        ("GET", "/search?q=a&number=ten", {}, 422, "number: .*integer"),
        ("GET", "/search?q=a&number=1e400", {}, 422, "number: .*integer"),
        ("POST", "/search", {}, 422, "Field required"),
        ("POST", "/search", {"content": b"{", "headers": {"content-type": "application/json"}}, 422, "JSON"),
        ("POST", "/search", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 422, "body: .*dictionary"),
        ("POST", "/search", {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}, 422, ""),
        ("POST", "/search", {"json": []}, 422, ""),
        ("POST", "/search", {"json": {"query": 7}}, 422, "query: .*string"),
        ("POST", "/search", {"json": {"query": ""}}, 422, "query"),
        ("POST", "/search", {"json": {"query": "a", "number": -1}}, 422, "number"),
        ("POST", "/search", {"json": {"query": "a", "other": 1}}, 422, "other: Extra inputs"),
        ("POST", "/search", {"json": {"query": None}}, 422, "query"),
        ("POST", "/search", {"content": b"x" * 20_000}, 413, "more than 16384 bytes"),
        ("POST", "/search", {"content": iter([b"x" * 9_000, b"y" * 9_000])}, 413, "more than 16384 bytes"),
        ("DELETE", "/search", {}, 405, "Method Not Allowed"),
        ("PUT", "/documents/sort", {"json": {}}, 405, "Method Not Allowed"),
        ("GET", "/documents/none", {}, 404, "no document 'none'"),
        ("GET", "/documents/..%2F..%2Fetc%2Fpasswd", {}, 404, "no document"),
        ("GET", "/nowhere", {}, 404, "Not Found"),
        ("GET", "/docs", {}, 404, "Not Found"),
        ("GET", "/page.html", {}, 404, "Not Found"),
    ],
)
def test_bad_requests_are_told_why(client: TestClient, method: str, path: str, options: Any, status: int, reason: str) -> None:
    import re

    reply = client.request(method, path, **options)
    assert reply.status_code == status
    told = reply.json()
    assert {*told} == {"error", "reason", "fix"}
    assert told["error"] == status
    assert re.search(reason, told["reason"])
    assert told["fix"]


def test_what_nobody_expected_is_told_to_the_log_alone(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    reply = client.get("/search", params={"q": "fail"})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert "a secret of the inside" in caplog.text
    assert client.get("/search", params={"q": "sort"}).status_code == 200


def test_a_key_is_asked_for_but_by_the_page_and_health(held: Held) -> None:
    with client_of(held, key="k-1") as client:
        for headers in ({}, {"X-API-Key": "k"}, {"Authorization": "Bearer k-2"}, {"X-API-Key": "k-1 "[:2]}):
            assert client.get("/search?q=sort", headers=headers).status_code == 401
        for headers in ({"X-API-Key": "k-1"}, {"Authorization": "Bearer k-1"}):
            assert client.get("/search?q=sort", headers=headers).status_code == 200
        assert [client.get(path).status_code for path in ("/", "/page.js", "/page.css", "/healthz")] == [200] * 4
        assert [client.get(path).status_code for path in ("/metrics", "/documents/sort", "/search", "/openapi.json")] == [401] * 4


def test_the_page_loads_nothing_of_others_and_puts_text_in_as_text(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert "http" not in page.text
    script = client.get("/page.js").text
    assert "innerHTML" not in script
    assert "insertAdjacent" not in script
    assert "<b>title</b>" in client.get("/documents/sort").json()["title"]


def test_the_same_query_is_answered_once_and_too_many_are_sent_away(held: Held) -> None:
    with client_of(held, most_waiting=2) as client, ThreadPoolExecutor(8) as threads:
        held.free.clear()
        same = [threads.submit(client.get, "/search?q=sort") for _ in range(3)]
        wait_for(lambda: held.asked == 1)
        other = threads.submit(client.get, "/search?q=mean")
        wait_for(lambda: "in_flight 5" in client.get("/metrics").text)
        refused = client.get("/search?q=date")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        held.free.set()
        assert [reply.result().status_code for reply in (*same, other)] == [200] * 4
        assert held.asked == 2
        assert client.get("/search?q=date").status_code == 200


def test_who_waits_too_long_is_told_and_the_next_is_answered(held: Held) -> None:
    with client_of(held, timeout_seconds=0.2) as client:
        held.free.clear()
        assert client.get("/search?q=sort").status_code == 504
        held.free.set()
        wait_for(lambda: client.get("/search?q=sort").status_code == 200)


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    client.get("/search?q=sort")
    client.get("/search")
    client.get("/documents/none")
    client.get("/nowhere")
    lines = client.get("/metrics").text.splitlines()
    assert 'tandem_requests_total{route="/search",status="200"} 1' in lines
    assert 'tandem_requests_total{route="/search",status="422"} 1' in lines
    assert 'tandem_requests_total{route="/documents/{doc_id:path}",status="404"} 1' in lines
    assert 'tandem_requests_total{route="other",status="404"} 1' in lines
    assert "tandem_request_seconds_count 4" in lines
    assert "tandem_requests_in_flight 1" in lines, "this one"


def wait_for(told: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end
        time.sleep(0.02)
