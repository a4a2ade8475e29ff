"""The connection to one collection of Milvus, and its errors in one line each.

Every call has a time limit: without one pymilvus tries again for minutes. Credentials come from the
environment or the address and are in no message.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from isoglot.errors import ArtifactError, ConfigError, IsoglotError

__all__ = ["DEFAULT_COLLECTION", "TOKEN", "Connection", "import_pymilvus", "parse_target"]

TOKEN = "MILVUS_TOKEN"
"""Environment variable with the token of a server: ``user:password`` or an API key."""
DEFAULT_COLLECTION = "isoglot"

_DATABASE = ".db"
_SCHEMES = ("http", "https", "tcp", "unix")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_CONNECT_S = 5.0
_CALL_S = 30.0
"""Seconds; a search on a server that works takes far below one."""
_NO_COLLECTION = 100
"""Code of Milvus."""


def parse_target(target: str) -> tuple[str, str]:
    """Split ``ADDRESS#COLLECTION`` into address and name of the collection.

    >>> parse_target("http://localhost:19530"), parse_target("news.db#mine")
    (('http://localhost:19530', 'isoglot'), ('news.db', 'mine'))

    Raises:
        ConfigError: If it is no address of Milvus or no name of a collection.
    """
    address, _, name = target.partition("#")
    if not (address.endswith(_DATABASE) or _is_url(address)):
        raise ConfigError(
            f"{_without_credentials(address)!r} is no address of Milvus; give http://HOST:19530, "
            "https://HOST or a file NAME.db for Milvus Lite"
        )
    if name and not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a collection; use letters, digits and '_', such as news_2024"
        )
    return address, name or DEFAULT_COLLECTION


def import_pymilvus() -> Any:  # noqa: ANN401 - pymilvus has few types
    """Return pymilvus, made to raise its errors only and not to print them too.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import pymilvus
    except ImportError as error:
        raise ConfigError(
            "an index in Milvus needs pymilvus, which is not installed; pip install "
            "'isoglot[milvus]'"
        ) from error
    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return pymilvus


def _import_rpc_error() -> type[Exception]:
    """Return the error of the layer below, which pymilvus hands on where it does not try again."""
    import grpc

    error: type[Exception] = grpc.RpcError
    return error


class Connection:
    """A client that speaks of one collection. Any number of threads may call."""

    def __init__(self, address: str, collection: str) -> None:
        """Connect, which takes at most some seconds.

        Args:
            address: See `parse_target`.
            collection: Its name; it need not be there.

        Raises:
            ConfigError: If pymilvus is not installed or the token is refused.
            ArtifactError: If the server cannot be reached or the file cannot be opened.
        """
        self.collection = collection
        self.is_lite = address.endswith(_DATABASE)
        self.where = _without_credentials(address)
        """The address as it may be shown."""
        self._milvus = import_pymilvus()
        self._errors = (self._milvus.MilvusException, _import_rpc_error())
        self._token = os.environ.get(TOKEN, "")
        if self.is_lite:
            _check_database(Path(address))
        try:
            self._client = self._milvus.MilvusClient(address, token=self._token, timeout=_CONNECT_S)
        except self._errors as error:
            raise self._explain_connection(error) from error

    def call(self, method: str, *, seconds: float = _CALL_S, **options: Any) -> Any:  # noqa: ANN401
        """Call a method of ``MilvusClient`` on the collection.

        Args:
            method: Its name; it takes a collection first.
            seconds: Time limit.
            **options: Its other arguments.

        Raises:
            ConfigError: If the token is refused.
            ArtifactError: If there is no such collection, or Milvus refuses or does not answer.
        """
        try:
            return getattr(self._client, method)(self.collection, timeout=seconds, **options)
        except self._errors as error:
            raise self._explain(method, error) from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _explain_connection(self, error: Exception) -> IsoglotError:
        if _is_refused_token(error):
            return self._refused_token()
        if not self.is_lite:
            return ArtifactError(
                f"{self.where}: no Milvus answers there; check the address and that the server "
                f"runs ({_first_line(error)})"
            )
        if "milvus-lite is required" in str(error):
            return ConfigError(
                f"{self.where}: needs milvus-lite, which is not installed; pip install "
                "'isoglot[milvus]'"
            )
        return ArtifactError(
            f"{self.where}: Milvus Lite cannot open it; another process may have it open (one at a "
            "time can), or it is no database of Milvus Lite 3"
        )

    def _explain(self, method: str, error: Any) -> IsoglotError:  # noqa: ANN401
        if _is_refused_token(error):
            return self._refused_token()
        if getattr(error, "code", None) == _NO_COLLECTION:
            return ArtifactError(
                f"{self.where}: there is no collection {self.collection!r}; make it with isoglot "
                "index, or name another one: ADDRESS#COLLECTION"
            )
        return ArtifactError(
            f"{self.where}: Milvus could not {method.replace('_', ' ')} ({_first_line(error)})"
        )

    def _refused_token(self) -> IsoglotError:
        given = f"refuses the token in ${TOKEN}" if self._token else "wants a token"
        return ConfigError(
            f"{self.where}: the server {given}; set ${TOKEN} to USER:PASSWORD or an API key"
        )


def _is_url(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in _SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:  # a port or host that cannot be
        return False


def _check_database(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise ArtifactError(f"{path}: there is no folder {path.parent}; make it first")


def _is_refused_token(error: BaseException) -> bool:
    texts = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:  # pymilvus raises errors from themselves
        seen.add(id(current))
        texts.append(str(current))
        current = current.__cause__
    return any("UNAUTHENTICATED" in text or "auth check failure" in text for text in texts)


def _first_line(error: Any) -> str:  # noqa: ANN401 - of pymilvus or grpc
    details = getattr(error, "details", None)  # of grpc
    text = details() if callable(details) else getattr(error, "message", error)
    lines = str(text).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _without_credentials(address: str) -> str:
    return re.sub(r"(?<=://)[^/]*@", "", address)
