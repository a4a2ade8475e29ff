"""Batches drawn ahead are the batches, in their order."""

import threading

import pytest

from isoglot.training.loop.ahead import Ahead


@pytest.mark.parametrize("threaded", [True, False])
def test_batches_come_in_order_and_end(threaded):
    batches = iter(range(7))
    with Ahead(threaded=threaded) as ahead:
        taken = [ahead.take(batches, 2) for _ in range(5)]
    assert taken == [[0, 1], [2, 3], [4, 5], [6], []]


def test_the_next_step_is_drawn_while_this_one_is_computed():
    drawn = threading.Event()

    def batches():
        yield 0
        drawn.set()
        yield 1

    with Ahead(threaded=True) as ahead:
        iterator = batches()
        assert ahead.take(iterator, 1) == [0]
        assert drawn.wait(timeout=10)
        assert ahead.take(iterator, 1) == [1]


def test_an_error_in_drawing_is_raised_where_the_batch_is_needed():
    def batches():
        yield 0
        raise ValueError("no such text")

    with Ahead(threaded=True) as ahead:
        iterator = batches()
        assert ahead.take(iterator, 1) == [0]
        with pytest.raises(ValueError, match="no such text"):
            ahead.take(iterator, 1)


def test_afterwards_no_thread_is_left():
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Ahead(threaded=True) as ahead:
        ahead.take(iter(range(9)), 1)
        raise KeyboardInterrupt
    assert threading.active_count() == before
