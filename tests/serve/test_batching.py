"""Queries that come together are searched together, and none is lost."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from isoglot.config.search import SearchConfig
from isoglot.serve.batching import Batcher, OverloadedError
from tests.serve.library import Library

TEN, THREE = SearchConfig(), SearchConfig(k=3)


def run(work, library, **options):
    """Run ``work(batcher)`` beside the batcher."""

    async def both():
        batcher = Batcher(library, **{"most_waiting": 100, "batch": 4, **options})
        task = asyncio.create_task(batcher.run())
        try:
            return await asyncio.wait_for(work(batcher), 20)
        finally:
            task.cancel()
            batcher.close()

    # In a thread of its own: a browser that other tests opened keeps a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(both())).result()


async def held_back(batcher, library, requests):
    """Send requests while the first one is at work; return their tasks, and let it go on."""
    library.hold.clear()
    tasks = []
    for queries, config in requests:
        tasks.append(asyncio.create_task(batcher.search(queries, config)))
        await asyncio.sleep(0.02)
    library.hold.set()
    return tasks


def test_what_comes_while_one_is_at_work_is_the_next_batch():
    library = Library()
    sizes = []

    async def work(batcher):
        tasks = await held_back(batcher, library, [([f"query {n}"], TEN) for n in range(7)])
        return await asyncio.gather(*tasks)

    answers = run(work, library, observe=sizes.append)
    assert sizes == [1, 4, 2]
    assert library.batches[1] == ["query 1", "query 2", "query 3", "query 4"]
    alone = [Library().search([f"query {n}"], TEN)[0] for n in range(7)]
    assert [answer[0] for answer in answers] == alone


def test_a_query_that_finds_the_thread_idle_does_not_wait_for_others():
    library = Library()

    async def work(batcher):
        for n in range(3):
            await batcher.search([f"query {n}"], TEN)

    run(work, library)
    assert library.batches == [["query 0"], ["query 1"], ["query 2"]]


def test_only_queries_of_one_kind_share_a_batch_and_the_oldest_goes_first():
    library = Library()

    async def work(batcher):
        kinds = [("a", TEN), ("b", THREE), ("c", TEN), ("d", THREE)]
        tasks = await held_back(batcher, library, [([query], kind) for query, kind in kinds])
        return await asyncio.gather(*tasks)

    answers = run(work, library)
    assert library.batches == [["a"], ["b", "d"], ["c"]]
    assert [len(answer[0]) for answer in answers] == [10, 3, 10, 3]


def test_the_queries_of_one_request_stay_together_however_many():
    library = Library()

    async def work(batcher):
        requests = [(["a"], TEN), (["b", "c"], TEN), (["d"] * 6, TEN), (["e", "f"], TEN)]
        return await asyncio.gather(*await held_back(batcher, library, requests))

    answers = run(work, library)
    assert [len(answer) for answer in answers] == [1, 2, 6, 2]
    assert library.batches == [["a"], ["b", "c", "e", "f"], ["d"] * 6]


def test_one_query_that_fails_does_not_spoil_the_others():
    library = Library()
    library.fail_on = "bad"

    async def work(batcher):
        requests = [([query], TEN) for query in ("first", "good", "bad", "fine")]
        tasks = await held_back(batcher, library, requests)
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = run(work, library)
    assert [isinstance(answer, RuntimeError) for answer in answers] == [False, False, True, False]


class Panic(BaseException):
    """As a panic of Rust code, such as that of the tokenizers, comes to Python."""


def test_not_even_a_panic_ends_the_search():
    library = Library()

    async def work(batcher):
        library.error = Panic("text")
        with pytest.raises(RuntimeError, match="the search failed: Panic"):
            await batcher.search(["a"], TEN)
        library.error = None
        return await batcher.search(["b"], TEN)

    assert len(run(work, library)[0]) == 10


def test_what_was_given_up_is_not_tried_again_after_a_fault():
    library = Library()
    library.fail_on = "bad"

    async def work(batcher):
        tasks = await held_back(batcher, library, [(["a"], TEN)])
        library.hold.clear()
        requests = [([query], TEN) for query in ("bad", "given up")]
        for queries, config in requests:
            one = batcher.search(queries, config)
            tasks.append(asyncio.create_task(one))
        await tasks[0]
        await asyncio.sleep(0.05)  # the two are at work
        tasks[2].cancel()
        library.hold.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    run(work, library)
    assert library.batches == [["a"], ["bad", "given up"], ["bad"]]


def test_a_request_of_more_queries_than_may_wait_is_let_in_where_nobody_waits():
    library = Library()

    async def work(batcher):
        return await batcher.search(["a"] * 12, TEN)

    assert len(run(work, library, most_waiting=3)) == 12


def test_more_than_may_wait_are_refused_at_once():
    library = Library()

    async def work(batcher):
        library.hold.clear()
        first = asyncio.create_task(batcher.search(["first"], TEN))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(batcher.search(["a", "b"], TEN))
        await asyncio.sleep(0.02)
        assert batcher.waiting == 2
        with pytest.raises(OverloadedError):
            await batcher.search(["c", "d"], TEN)
        library.hold.set()
        await asyncio.gather(first, second)
        assert batcher.waiting == 0

    run(work, library, most_waiting=3)


def test_a_request_that_was_given_up_is_not_searched():
    library = Library()

    async def work(batcher):
        tasks = await held_back(batcher, library, [(["a"], TEN)])
        library.hold.clear()
        await asyncio.gather(*tasks)
        running = asyncio.create_task(batcher.search(["b"], TEN))
        await asyncio.sleep(0.02)
        given_up = asyncio.create_task(batcher.search(["c"], TEN))
        await asyncio.sleep(0.02)
        given_up.cancel()
        await asyncio.sleep(0)
        library.hold.set()
        await running
        await batcher.search(["d"], TEN)

    run(work, library)
    assert library.batches == [["a"], ["b"], ["d"]]


def test_the_index_is_refreshed_between_searches_and_never_under_one():
    library = Library()
    events = []
    searched = library.search

    def search(*arguments):
        events.append("begin")
        found = searched(*arguments)
        events.append("end")
        return found

    library.search = search

    async def work(batcher):
        tasks = await held_back(batcher, library, [(["a"], TEN)])
        library.hold.clear()
        refreshing = asyncio.create_task(batcher.between(lambda: events.append("refresh") or 7))
        await asyncio.sleep(0.02)
        library.hold.set()
        assert await refreshing == 7
        await asyncio.gather(*tasks)

    run(work, library)
    assert events == ["begin", "end", "refresh"]


def test_what_waits_at_the_end_is_given_up():
    library = Library()
    library.hold.clear()

    async def work(batcher):
        tasks = [asyncio.create_task(batcher.search([q], TEN)) for q in ("a", "b")]
        await asyncio.sleep(0.02)
        batcher.close()
        library.hold.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second = run(work, library, batch=1)
    assert len(first[0]) == 10
    assert isinstance(second, asyncio.CancelledError)
