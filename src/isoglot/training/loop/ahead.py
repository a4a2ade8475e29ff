"""Batches drawn one step ahead, while the step before is computed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING

from isoglot.training.inputs.collate import Inputs

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Ahead"]


class Ahead:
    """Takes batches from an iterator, in its order; used as a context manager.

    A thread is enough: drawing is arithmetic on arrays, which leaves the interpreter to others.

    Args:
        threaded: Whether to draw ahead. What tokenizes must not: a tokenizer serves one thread.
    """

    def __init__(self, *, threaded: bool) -> None:
        self._threaded = threaded
        self._pool: ThreadPoolExecutor | None = None
        self._next: Future[list[Inputs]] | None = None

    def __enter__(self) -> Self:
        if self._threaded:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = self._next = None

    def take(self, batches: Iterator[Inputs], count: int) -> list[Inputs]:
        """Return the next batches, fewer at the end; ``count`` is the same every time."""
        if self._pool is None:
            return list(islice(batches, count))
        drawn = self._next.result() if self._next is not None else list(islice(batches, count))
        self._next = self._pool.submit(lambda: list(islice(batches, count)))
        return drawn
