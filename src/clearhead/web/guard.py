"""The checks of requests: only to this host, only from the served page, only up to a size; and the page's policy."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clearhead.budgets import MAX_REQUEST_BYTES

POLICY = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "font-src data:", "img-src data:",
        "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ]
)  # fmt: skip

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Middleware that refuses requests that do not come from the served page, under the names of this server.

    A foreign name that DNS resolves to this server is refused by the Host header (DNS rebinding); a request from a page
    of another site by its Origin.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or refuses it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = self._refused(Headers(scope=scope), scope["method"])
        if refused:
            status, why = refused
            await PlainTextResponse(why, status)(scope, receive, send_with_headers)
            return
        await self.app(scope, _bounded(receive), send_with_headers)

    def _refused(self, headers: Headers, method: str) -> tuple[int, str] | None:
        if headers.get("host", "") not in self.hosts:
            return 421, "This server answers only under the names it was started for."
        if method in ("GET", "HEAD"):
            return None
        if headers.get("origin", "").removeprefix("http://") not in self.hosts:
            return 403, "Only the served page itself may send this request."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_REQUEST_BYTES:
            return 413, f"A request has at most {MAX_REQUEST_BYTES} bytes."
        return None


class TooLarge(Exception):
    """A request that is longer than allowed, or than stated."""


def _bounded(receive: Receive) -> Receive:
    """The same messages, unless they are too large."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message: dict[str, Any] = dict(await receive())
        seen += len(message.get("body", b""))
        if seen > MAX_REQUEST_BYTES:
            raise TooLarge
        return message

    return bounded


def hosts_of(host: str, port: int) -> frozenset[str]:
    """The Host headers that are accepted."""
    names = {"127.0.0.1", "localhost", "[::1]"} if host in ("127.0.0.1", "localhost", "::1") else {host}
    return frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())
