"""The page's files: read once, sent as they are, and nothing else of the disk with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import Response

from isoglot.serve.problems import ProblemError

__all__ = ["page_router"]

_PAGE = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    type: str
    tag: str


def page_router() -> APIRouter:
    """Return the paths of the page; they are not part of the API."""
    router = APIRouter(include_in_schema=False)
    files = _read_files()

    @router.get("/")
    async def page(request: Request) -> Response:
        return _send(files[_PAGE], request)

    @router.get("/assets/{name}")
    async def asset(name: str, request: Request) -> Response:
        if name not in files or name == _PAGE:
            raise ProblemError(404)
        return _send(files[name], request)

    return router


def _read_files() -> dict[str, _File]:
    found = {}
    for entry in (resources.files("isoglot.serve") / "assets").iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in _TYPES:
            content = entry.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            found[entry.name] = _File(content, _TYPES[suffix], tag)
    return found


def _send(file: _File, request: Request) -> Response:
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.type, headers=headers)
