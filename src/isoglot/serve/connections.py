"""HTTP connections that end when a request is long in coming.

uvicorn waits without end for the head of a request, which is how a few slow clients can take every
connection (slowloris). Bodies are timed in `guards.BodyGuard`.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["patient_protocol"]

_LEAST_TAKEN = 16 * 1024
"""Bytes of an answer, or all of it, that a client takes in the time it has."""


def patient_protocol(seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP with a limit on the time from a request's first byte to its last.

    Args:
        seconds: For the head of a request; also for a client to take a part of an answer.
    """

    class Patient(_PatientProtocol):
        pass

    Patient.seconds = seconds
    return Patient


class _PatientProtocol(H11Protocol):
    seconds: ClassVar[float]
    _patience: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        # After an answer the wait starts with the first byte of the next request; until then
        # uvicorn's own limit on idle connections holds.
        if self._patience is None and not self._is_answering():
            self._wait_for_request()
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        # Until the client reads, an answer waits here, and so do those to requests behind it.
        self._watch_taking()

    def resume_writing(self) -> None:
        self._stop_watching()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # What a client does not read keeps even a closed connection open.
        self._watch_taking()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_request(self) -> None:
        self._patience = self.loop.call_later(self.seconds, self.transport.abort)

    def _watch_taking(self) -> None:
        self._stop_watching()
        left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(self.seconds, self._check_taking, left)

    def _check_taking(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < _LEAST_TAKEN:
            self.transport.abort()
        else:
            self._watch_taking()

    def _stop_watching(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
