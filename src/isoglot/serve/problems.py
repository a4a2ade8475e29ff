"""Errors as clients see them: one form, what came and what to do, never a path or a traceback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from isoglot.config.serve import BODY_BYTES

__all__ = ["DOCUMENTED", "Problem", "ProblemError", "add_handlers", "problem_response"]

_SHOWN_FAULTS = 5
_HELP = {
    400: "send one JSON object with Content-Type: application/json; /openapi.json describes it",
    401: "send the key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
    403: "ask it by the name of its own machine, or start it with --allow-host NAME or an API key",
    404: "/openapi.json lists what there is",
    405: "/openapi.json lists the methods of every path",
    408: "send the whole request at once",
    413: f"send at most {BODY_BYTES:,} bytes",
    422: "/openapi.json describes every field",
    500: "the service's log says more; if it happens again, report it",
    503: "try again after the seconds in Retry-After",
}
_SAID = {
    400: "the body cannot be read as JSON",
    401: "an API key is needed, and none or a wrong one was sent",
    403: "the service does not go by this host name",
    404: "there is nothing at this path",
    405: "this path does not have this method",
    408: "the request did not arrive in time",
    413: "the body is too large",
    500: "the service failed to answer",
    503: "the service has too much to do",
}


class Problem(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    error: str = Field(examples=["k: should be less than or equal to 1000"])
    """What came."""
    help: str = Field(examples=["/openapi.json describes every field"])
    """What is allowed, or what to do."""


class ProblemError(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        error: What came; default: what the status means.
        help: What is allowed or what to do; default: what always helps with the status.
    """

    def __init__(self, status: int, error: str | None = None, help: str | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.help = status, error, help


def _document(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "model": Problem,
            "description": _SAID.get(status, "a value is not allowed").capitalize(),
            "content": {
                "application/json": {
                    "example": {
                        "error": _SAID.get(status, "k: should be less than or equal to 1000"),
                        "help": _HELP[status],
                    }
                }
            },
        }
        for status in statuses
    }


DOCUMENTED = {
    "get": _document(401, 403, 500),
    "post": _document(400, 401, 403, 408, 413, 422, 500, 503),
}
"""Errors of a path by its method, as OpenAPI wants them."""


def problem_response(
    status: int,
    error: str | None = None,
    help: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error in the form of all errors."""
    own = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status, {})
    problem = Problem(
        error=error or _SAID.get(status, "the request cannot be answered"),
        help=help or _HELP.get(status, "/openapi.json describes every request"),
    )
    return JSONResponse(problem.model_dump(), status, {**own, **(headers or {})})


def add_handlers(app: FastAPI) -> None:
    """Have an app answer every error in the one form."""

    @app.exception_handler(ProblemError)
    async def refuse(_: Request, error: ProblemError) -> JSONResponse:
        return problem_response(error.status, error.error, error.help)

    @app.exception_handler(RequestValidationError)
    async def explain(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = error.errors()
        if any(fault["type"] == "json_invalid" for fault in faults):
            return problem_response(400)
        whole = [fault for fault in faults if tuple(fault["loc"]) == ("body",)]
        if any(fault["type"] != "value_error" for fault in whole):
            return problem_response(400, "the body is not a JSON object")
        return problem_response(422, _describe(faults))

    @app.exception_handler(HTTPException)
    async def name(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(error.status_code, headers=error.headers)


def _describe(faults: Sequence[Mapping[str, Any]]) -> str:
    """Say what is wrong with which field, without what was sent: it may be anything."""
    said = dict.fromkeys(f"{_place(fault)}: {_reason(fault)}" for fault in faults)
    shown = list(said)[:_SHOWN_FAULTS]
    more = len(said) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _place(fault: Mapping[str, Any]) -> str:
    location = list(fault["loc"])[1:]
    if fault["type"] == "extra_forbidden":
        location = location[:-1]
    # Keys of a mapping are the sender's own words.
    parts = [part for part in location if isinstance(part, int) or str(part).isidentifier()]
    return ".".join(str(part)[:40] for part in parts) or "body"


def _reason(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return "there is a field that is not known"
    message = str(fault["msg"]).removeprefix("Value error, ")
    # "String should have at most ...": the field has been named already.
    start = message.find("should ")
    return message[max(start, 0) :][:300]
