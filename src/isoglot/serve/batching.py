"""Concurrent queries are encoded and searched together.

One thread works. While it answers, what comes in waits, and all of it that asks for the same kind
of answer is the next batch: under load batches grow by themselves, and a query that finds the
thread idle waits for nobody. One thread also means that the index is never replaced under a search.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from isoglot.config.search import SearchConfig
from isoglot.serve.searches import Found, Searches

__all__ = ["Batcher", "OverloadedError"]

Answers = Sequence[Sequence[Found]]
T = TypeVar("T")


class OverloadedError(Exception):
    """More queries wait than are let in."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Queries of one request; they share a batch, so that one index answers all of them."""

    queries: Sequence[str]
    config: SearchConfig
    answer: asyncio.Future[Answers]


class Batcher:
    """Searches in a thread of its own, several requests at once.

    Args:
        searcher: Called from one thread at a time.
        most_waiting: Queries that may wait; a request with more is let in where nobody waits.
        batch: Queries of a search; a request with more is a batch of its own.
        observe: Called with the number of queries of every batch.
    """

    def __init__(
        self,
        searcher: Searches,
        *,
        most_waiting: int,
        batch: int,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._searcher = searcher
        self._most_waiting = most_waiting
        self._batch = batch
        self._observe = observe
        self._queue: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="search")

    @property
    def waiting(self) -> int:
        """Queries that wait for their turn."""
        return sum(len(item.queries) for item in self._queue if not item.answer.done())

    async def search(self, queries: Sequence[str], config: SearchConfig) -> Answers:
        """Return the passages of every query, best first.

        Args:
            queries: Of one request.
            config: How they are to be answered.

        Raises:
            OverloadedError: If too many queries wait already.
        """
        waiting = self.waiting
        if waiting and waiting + len(queries) > self._most_waiting:
            raise OverloadedError
        answer: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(queries, config, answer))
        self._arrived.set()
        return await answer

    async def between(self, work: Callable[[], T]) -> T:
        """Do something else in the thread, between two batches."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _sparing_the_loop, work)

    async def run(self) -> None:
        """Answer what comes in until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while batch := self._take():
                await self._answer(batch)

    def close(self) -> None:
        """Give up what waits and let the thread end after its search."""
        for item in self._queue:
            item.answer.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _take(self) -> list[_Waiting]:
        """Take the request that has waited longest, and as many of its kind as fit."""
        self._queue = [item for item in self._queue if not item.answer.done()]
        taken: list[_Waiting] = []
        left, room = [], self._batch
        for item in self._queue:
            same = not taken or item.config == taken[0].config
            if same and (not taken or len(item.queries) <= room):
                taken.append(item)
                room -= len(item.queries)
            else:
                left.append(item)
        self._queue = left
        return taken

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        queries = [query for item in batch for query in item.queries]
        self._observe(len(queries))
        try:
            answers = await self.between(lambda: self._searcher.search(queries, batch[0].config))
        except Exception as error:
            if len(batch) > 1:
                # One query may have spoilt it for all.
                for item in batch:
                    if not item.answer.done():
                        await self._answer([item])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        start = 0
        for item in batch:
            stop = start + len(item.queries)
            if not item.answer.done():
                item.answer.set_result(answers[start:stop])
            start = stop


def _sparing_the_loop(work: Callable[[], T]) -> T:
    """Work, and turn what is no `Exception`, such as a panic of Rust code, into one.

    Nobody who waits in the event loop catches it, so nobody would be answered any more.
    """
    try:
        return work()
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"the search failed: {type(error).__name__}") from error
