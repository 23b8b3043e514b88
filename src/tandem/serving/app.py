"""The application: `/search`, `/documents/ID`, `/healthz`, `/metrics`, `/openapi.json`, and a page for people at `/`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from tandem.interfaces import Searcher
from tandem.records import Document
from tandem.serving.limits import Guard, error_response
from tandem.serving.metrics import Metrics
from tandem.serving.queue import BusyError, SearchQueue
from tandem.settings import Count, CountOrZero, PositiveCoefficient, Settings

__all__ = ["LONGEST_QUERY", "MOST_RESULTS", "ServiceSettings", "create_app"]

LONGEST_QUERY = 2000
"""characters"""
MOST_RESULTS = 100
PAGE = {"/": ("page.html", "text/html"), "/page.js": ("page.js", "text/javascript"), "/page.css": ("page.css", "text/css")}


class ServiceSettings(Settings):
    """What a service allows itself."""

    most_waiting: Count = 64
    """different searches that wait or are under way; one more is told to come back"""
    timeout_seconds: PositiveCoefficient = 30.0
    """of a search; whoever waits longer is told so"""
    remembered: CountOrZero = 1000
    """answers that are kept, the latest ones"""
    most_bytes: Count = 16_384
    """of a request's body"""


class Asked(BaseModel):
    """A search."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[str, Field(min_length=1, max_length=LONGEST_QUERY, pattern=r"\S", examples=["sort a table by a column"])]
    number: Annotated[int, Field(ge=1, le=MOST_RESULTS)] = 10


class Result(BaseModel):
    """A document that was found."""

    rank: int
    doc_id: str
    score: float
    title: str
    text: str


class Answer(BaseModel):
    """What was found, best first, and how long it took."""

    query: str
    seconds: float
    results: list[Result]


def create_app(searcher: Searcher, documents: Mapping[str, Document], settings: ServiceSettings, *, key: str | None = None) -> FastAPI:
    """The service of one searcher.

    Args:
        searcher: that is asked, one query after the other.
        documents: by doc_id: what it finds.
        settings: limits.
        key: that requests have to bring, but for the page and `/healthz`; None asks for none.
    """
    queue = SearchQueue(searcher, most_waiting=settings.most_waiting, remembered=settings.remembered)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(queue.close)

    about = "Search by the champion of a Tandem project."
    # FastAPI's pages of documentation load scripts from elsewhere, which the Guard forbids.
    app = FastAPI(title="Tandem", description=about, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, metrics=metrics, key=key, most_bytes=settings.most_bytes)
    _tell_errors(app)

    _add_search(app, queue, documents, settings.timeout_seconds)
    _add_others(app, documents, metrics)
    for path in PAGE:
        app.add_api_route(path, _page, include_in_schema=False)
    return app


def _add_search(app: FastAPI, queue: SearchQueue, documents: Mapping[str, Document], timeout_seconds: float) -> None:
    async def answer(query: str, number: int) -> Answer:
        began = time.perf_counter()
        run = await asyncio.wait_for(queue.search(query, number), timeout_seconds)
        found = [(item, documents[item.doc_id]) for item in run]
        results = [
            Result(rank=rank, doc_id=item.doc_id, score=item.score, title=document.title, text=document.text)
            for rank, (item, document) in enumerate(found, start=1)
        ]
        return Answer(query=query, seconds=time.perf_counter() - began, results=results)

    @app.get("/search")
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=LONGEST_QUERY, pattern=r"\S")],
        number: Annotated[int, Query(ge=1, le=MOST_RESULTS)] = 10,
    ) -> Answer:
        """Documents for a query, best first."""
        return await answer(q, number)

    @app.post("/search")
    async def search_for(asked: Asked) -> Answer:
        """The same, for queries that no log of addresses should hold."""
        return await answer(asked.query, asked.number)


def _add_others(app: FastAPI, documents: Mapping[str, Document], metrics: Metrics) -> None:
    @app.get("/documents/{doc_id:path}")
    async def document(doc_id: str) -> Document:
        """One document."""
        if doc_id not in documents:
            raise HTTPException(404, f"no document {doc_id!r:.200}")
        return documents[doc_id]

    @app.get("/healthz")
    async def healthz() -> dict[str, str | int]:
        """That the service runs, and over how many documents."""
        return {"status": "ok", "documents": len(documents)}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def tell_metrics() -> str:
        """Counts for Prometheus."""
        return metrics.render()


async def _page(request: Request) -> Response:
    """A file of the page."""
    name, media_type = PAGE[request.url.path]
    return Response(resources.files("tandem.serving").joinpath(name).read_bytes(), media_type=media_type)


def _tell_errors(app: FastAPI) -> None:
    """Every error as JSON with its reason and what mends it; what nobody expected is told to the log alone."""

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        fix = f"see /openapi.json; a query has 1 to {LONGEST_QUERY} characters, a number is 1 to {MOST_RESULTS}"
        return error_response(422, f"{place}: {first['msg']}", fix)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return error_response(error.status_code, str(error.detail), "see /openapi.json for what there is")

    @app.exception_handler(BusyError)
    async def busy(_: Request, __: Exception) -> JSONResponse:
        return error_response(503, "too many searches wait", "come back in a second", **{"Retry-After": "1"})

    @app.exception_handler(TimeoutError)
    async def late(_: Request, __: Exception) -> JSONResponse:
        return error_response(504, "the search took too long", "come back later, or give the service a larger timeout")

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        logging.getLogger("tandem.serving").error("a request failed", exc_info=error)
        return error_response(500, "the service failed", "its log says why")
