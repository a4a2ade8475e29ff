"""What stands between the network and the API: each guard one ASGI layer.

They hold for every path, those that do not exist included, and refuse before a body is read where
they can.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isoglot.config.serve import BODY_BYTES
from isoglot.serve.problems import problem_response
from isoglot.serve.service import LOG, Service

__all__ = ["BodyGuard", "HeaderGuard", "HostGuard", "KeyGuard", "Watch"]

OPEN_PATHS = ("/", "/health", "/ready", "/openapi.json")
OPEN_FOLDER = "/assets/"
_HEADERS = {
    # Nothing but the page's own files, and requests to this service.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

_DISCARDED = 1024 * 1024
"""Bytes of a body too large that are read all the same: a client that is still sending would lose
the answer with the connection."""


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


class HeaderGuard:
    """Sends security headers with every answer; answers are kept by no cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                added = {"cache-control": "no-store", **_HEADERS}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in added.items() if k.encode() not in own),
                ]
            await send(message)

        await self._app(scope, receive, send_headers if scope["type"] == "http" else send)


class Watch:
    """Counts and logs requests, and turns what nobody caught into an answer without details.

    The log has paths of the service only, never what a client sent.
    """

    def __init__(self, app: ASGIApp, service: Service, paths: Collection[str]) -> None:
        self._app = app
        self._service = service
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            LOG.exception("an answer failed")
            self._service.metrics.failed("fault")
            if status:
                raise
            await problem_response(500)(scope, receive, watch)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"] if scope["path"] in self._paths else "other"
        self._service.metrics.answered(path, status, seconds)
        method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
        LOG.info("%s %s %d %.1f ms", method, path, status, seconds * 1000)


class HostGuard:
    """Answers only to some host names.

    Without an API key this is what keeps a web page elsewhere from asking through the browser of
    somebody on this machine, under a name that it lets point here.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and self._name(scope) not in self._hosts:
            await problem_response(403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    @staticmethod
    def _name(scope: Scope) -> str:
        host = (_header(scope, b"host") or b"").decode("latin-1").lower()
        if host.startswith("["):  # [::1]:8000
            return host[1:].partition("]")[0]
        return host.partition(":")[0]


class KeyGuard:
    """Lets in who has the key.

    The page, the description of the API and the state are open: they show nothing of the index.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or self._is_open(scope["path"]) or self._has_key(scope):
            await self._app(scope, receive, send)
        else:
            await problem_response(401)(scope, receive, send)

    @staticmethod
    def _is_open(path: str) -> bool:
        return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)

    def _has_key(self, scope: Scope) -> bool:
        kind, _, bearer = (_header(scope, b"authorization") or b"").partition(b" ")
        sent = bearer.strip() if kind.lower() == b"bearer" else b""
        sent = sent or (_header(scope, b"x-api-key") or b"")
        return hmac.compare_digest(sent, self._key)


class BodyGuard:
    """Reads a whole body before anything else sees it: not too large, and not too slowly."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._read(scope, receive), self._seconds)
        except asyncio.TimeoutError:
            await self._refuse(408, scope, receive, send)
            return
        if body is None:
            await self._refuse(413, scope, receive, send)
            return
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def read_again() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, read_again, send)

    @staticmethod
    async def _refuse(status: int, scope: Scope, receive: Receive, send: Send) -> None:
        # What is left of the body is not worth reading.
        await problem_response(status, headers={"Connection": "close"})(scope, receive, send)

    @staticmethod
    async def _read(scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, None if it is too large."""
        stated = _header(scope, b"content-length") or b"0"
        if len(stated) > 20 or (stated.isdigit() and int(stated) > _DISCARDED):
            return None
        body, size, more = bytearray(), 0, True
        while more and size <= _DISCARDED:
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            if size <= BODY_BYTES:
                body += part
            more = message.get("more_body", False)
        return bytes(body) if size <= BODY_BYTES else None
