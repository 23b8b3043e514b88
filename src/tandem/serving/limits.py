"""What stands before every route: a key, a limit on bodies, counts, and headers that let a page load nothing of others."""

from __future__ import annotations

import hmac
import time
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem.serving.metrics import Metrics

__all__ = ["Guard", "error_response"]

OPEN = ("/", "/healthz", "/page.js", "/page.css")
"""routes that ask for no key"""
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def error_response(status: int, reason: str, fix: str, **headers: str) -> JSONResponse:
    """An error as every route gives it: what was wrong, and what mends it."""
    return JSONResponse({"error": status, "reason": reason, "fix": fix}, status, headers=headers or None)


class Guard:
    """Refuses requests without the key or with too long a body, counts all of them, and sets headers.

    Args:
        app: behind it.
        metrics: that counts.
        key: that requests have to bring; None asks for none.
        most_bytes: of a body.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, key: str | None, most_bytes: int) -> None:
        self.app, self.metrics, self.key, self.most_bytes = app, metrics, key, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *((name.encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        self.metrics.in_flight += 1
        try:
            refusal = self._refuse(scope["path"], headers)
            if refusal is not None:
                await refusal(scope, receive, send_with_headers)
            else:
                await self._pass_on(scope, receive, send_with_headers)
        finally:
            self.metrics.in_flight -= 1
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.count(route, status, time.perf_counter() - began)

    def _refuse(self, path: str, headers: dict[str, str]) -> JSONResponse | None:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if self.key is not None and path not in OPEN and not hmac.compare_digest(given.encode(), self.key.encode()):
            fix = "send the header `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            return error_response(401, "no key, or a wrong one", fix, **{"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.most_bytes:
            return self._too_long()
        return None

    def _too_long(self) -> JSONResponse:
        return error_response(413, f"a body of more than {self.most_bytes} bytes", "send less: a query and a number are enough")

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body may come in pieces, whose length nobody told: it is read before the route sees it."""
        body, more = b"", scope["method"] in ("POST", "PUT", "PATCH")
        while more:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > self.most_bytes:
                await self._too_long()(scope, receive, send)
                return
        read = False

        async def receive_again() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_again, send)
