"""Configuration of the HTTP service, and the limits of what it answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from isoglot.config.loading import StrictModel
from isoglot.config.search import Policy
from isoglot.config.types import Positive

__all__ = ["ALL_COMPARED", "BODY_BYTES", "MOST_COMPARED", "QUERY_CHARACTERS", "ServeConfig"]

BODY_BYTES = 64 * 1024
"""Of a request at most."""
QUERY_CHARACTERS = 2000
"""Of a query at most: an encoder cuts much earlier, and the time to split it into words counts."""
MOST_COMPARED = 12
"""Queries side by side at most."""
ALL_COMPARED = 2400
"""Passages of a comparison at most, those of all queries together."""

Seconds = Annotated[float, Field(gt=0.0)]


class ServeConfig(StrictModel):
    """Where the service listens, whom it answers, and how much it takes on."""

    host: str = "127.0.0.1"
    """Address to listen on; other machines are let in only with an API key or ``no_key``."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """0: any free one."""
    no_key: bool = False
    """Let other machines in without an API key."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which the service is asked besides those of this machine, such as that of a
    proxy. Names are checked if there are any here, and on a loopback address without an API key,
    so that a web page elsewhere cannot have a browser ask the service under a name of its own (DNS
    rebinding)."""
    policy: Policy = "score"
    """Of requests that name none."""
    log_queries: bool = False
    """Write queries to the log."""
    most_waiting: Positive = 256
    """Queries that may wait for their turn; more are refused."""
    batch: Positive = 32
    """Queries that are encoded and searched at once, at most."""
    answer_s: Seconds = 30.0
    """Seconds until a search is given up."""
    request_s: Seconds = 10.0
    """Seconds in which a client must have sent its request, and taken each part of the answer."""
    connections: Positive = 512
    """Open connections at most."""
    refresh_s: Seconds = 1.0
    """Seconds between two looks for a newer index."""
