"""The service in this process: who may reach it, the socket, signals and slow clients."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from isoglot.config.serve import ServeConfig
from isoglot.errors import ConfigError
from isoglot.serve.connections import patient_protocol
from isoglot.serve.service import LOG

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["KEY_VARIABLE", "bind", "host_names", "read_key", "run_server"]

KEY_VARIABLE = "ISOGLOT_API_KEY"
LEAST_KEY = 16
"""Characters of an API key."""
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_HOST_NAME = re.compile(r"[\w.-]+|[0-9a-fA-F.]*(:[0-9a-fA-F.]*){2,}")
"""A name, or an address of IPv4 or IPv6."""
_STOP_S = 10
"""Seconds that answers under way get when the service is stopped."""


def read_key(path: Path | None) -> str | None:
    """Return the API key of a file, else of the environment, else None.

    Raises:
        ConfigError: If the file cannot be read, or the key is short or cannot be sent.
    """
    where, key = KEY_VARIABLE, os.environ.get(KEY_VARIABLE)
    if path is not None:
        where = str(path)
        try:
            key = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: the API key cannot be read ({error})") from error
    if key is None:
        return None
    key = key.strip()
    if len(key) < LEAST_KEY or not all("!" <= character <= "~" for character in key):
        raise ConfigError(
            f"{where}: an API key has {LEAST_KEY} or more ASCII characters without blanks; "
            "make one with: openssl rand -hex 24"
        )
    return key


def host_names(config: ServeConfig, key: str | None) -> list[str] | None:
    """Return the host names to answer to, None for any.

    Raises:
        ConfigError: If other machines could ask, without a key and without having been let in, or
            a name cannot be one.
    """
    for name in config.allowed_hosts:
        if not _HOST_NAME.fullmatch(name):
            raise ConfigError(
                f"--allow-host {name!r} is no host name; give the name alone, without http:// and "
                "port, such as search.example"
            )
    is_private = _is_loopback(config.host)
    if not is_private and key is None and not config.no_key:
        raise ConfigError(
            f"--host {config.host} lets other machines in; set an API key in {KEY_VARIABLE} or "
            "--api-key-file, or give --no-key to let in everybody"
        )
    if not config.allowed_hosts and (key or not is_private):
        return None
    return list(dict.fromkeys([*_LOOPBACK_NAMES, config.host, *config.allowed_hosts]))


def bind(config: ServeConfig) -> tuple[socket.socket, str]:
    """Return a listening socket, and the address people type.

    Raises:
        ConfigError: If there is no such address, or somebody listens there already.
    """
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((config.host, config.port), family=family, backlog=512)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"cannot listen on {config.host} port {config.port} ({reason}); "
            "choose another --port, or 0 for any free one"
        ) from error
    # asyncio does so only for sockets that name their protocol, and connections inherit it. Without
    # it an answer's head waits 40 ms for the client to confirm that it came.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = listener.getsockname()[1]
    name = f"[{config.host}]" if ":" in config.host else config.host
    return listener, f"http://{name}:{port}/"


def run_server(app: ASGIApp, listener: socket.socket, config: ServeConfig) -> None:
    """Answer until SIGTERM or SIGINT; answers under way are finished."""
    _log_to_stderr()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=patient_protocol(config.request_s),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,  # it has whole addresses; the app keeps its own
            server_header=False,
            proxy_headers=False,
            limit_concurrency=config.connections,
            timeout_graceful_shutdown=_STOP_S,
        )
    )
    with _stopping_is_no_fault():
        server.run(sockets=[listener])


@contextlib.contextmanager
def _stopping_is_no_fault() -> Iterator[None]:
    """Have signals that stopped the server not end the process as well.

    uvicorn raises them again, once it is done, for the handlers that were there before.
    """
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_loopback(host: str) -> bool:
    """Say whether an address or name is of this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _log_to_stderr() -> None:
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for logger, level in ((LOG, logging.INFO), (logging.getLogger("uvicorn"), logging.WARNING)):
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
