"""Batches as they were first drawn: neither a faster plan nor another layout may change them.

The values were recorded with the plan as of version 0.1.0, which searched plain arrays.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from isoglot.batches.lookup import Lookup
from isoglot.batches.plan import BatchPlan, _repeated
from isoglot.config.schema import BatchConfig
from tests.batches.tables import full_table, negatives_table, ragged_table

DRAWN = {
    ("monolingual", 8, 2): "e09d308c0ad8c0a1",
    ("monolingual", 14, 0): "a1239be54c9bb8d9",
    ("monolingual", 40, 0): "c5ae312048d8eae9",
    ("cross-lingual", 8, 2): "1bf24b349c3fed4d",
    ("cross-lingual", 14, 0): "23354539ea7c23ff",
    ("cross-lingual", 40, 0): "8a6780dfbb3e6068",
    ("hybrid", 8, 2): "7a58440d8e711362",
    ("hybrid", 14, 0): "758b52ec766a7df0",
    ("hybrid", 40, 0): "9c533d596a1e3a24",
}


def digest(plan: BatchPlan, batches: int = 20) -> str:
    content = hashlib.sha256()
    for index in range(batches):
        batch = plan.batch(index)
        content.update(f"{batch.kind} {batch.dataset}".encode())
        for values in (
            batch.groups,
            batch.query_langs,
            batch.passage_langs,
            batch.query_texts,
            batch.passage_texts,
            batch.negative_texts,
            batch.negative_langs,
        ):
            content.update(values.astype("<i8").tobytes())
    return content.hexdigest()[:16]


@pytest.mark.parametrize(("regime", "size", "negatives"), DRAWN)
def test_batches_are_those_first_drawn(regime, size, negatives):
    config = BatchConfig(
        size=size, regime=regime, negatives_per_query=negatives, small_languages="skip"
    )
    plan = BatchPlan(ragged_table(3, groups=240), config, 7)
    assert digest(plan) == DRAWN[regime, size, negatives]


def test_batches_with_listed_negatives_are_those_drawn_before_their_languages_could_be_chosen():
    plan = BatchPlan(negatives_table(), BatchConfig(size=6, negatives_per_query=3), 11)
    assert digest(plan) == "ecd11ced03550e43"


@pytest.mark.parametrize("new", [{}, {"count": 20, "parallels": True}])
def test_weighted_batches_are_those_drawn_before_data_sets_could_be_chosen(new):
    config = BatchConfig(
        size=8,
        language_exponent=0.4,
        size_exponent=0.5,
        dataset_weights={"a": 2.0},
        monolingual_share=0.3,
        small_languages="skip",
    )
    plan = BatchPlan(ragged_table(3, groups=240), config, 11, **new)
    assert digest(plan) == "c90d1c9367700fb4"


def test_a_batch_in_full():
    batch = BatchPlan(full_table(30), BatchConfig(size=4, regime="cross-lingual"), 0).batch(0)
    assert batch.groups.tolist() == [10, 12, 6, 13]
    assert batch.query_langs.tolist() == [2, 0, 0, 0]
    assert batch.passage_langs.tolist() == [1, 2, 1, 3]
    # Eight texts per group: four queries, then four passages.
    assert batch.query_texts.tolist() == [82, 96, 48, 104]
    assert batch.passage_texts.tolist() == [85, 102, 53, 111]


def test_a_batch_as_large_as_its_pool_is_the_one_first_drawn():
    plan = BatchPlan(full_table(30), BatchConfig(size=30, regime="cross-lingual"), 1)
    assert digest(plan) == "7211c24aa83e1ebf"


@pytest.mark.parametrize("seed", range(20))
def test_a_lookup_finds_what_a_search_finds(seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, size=rng.integers(1, 300)) * rng.integers(1, 1000)
    weights[-1] = 1
    ends = np.cumsum(weights)
    values = rng.integers(0, ends[-1], size=500)
    assert (Lookup(ends).find(values) == np.searchsorted(ends, values, side="right")).all()
    shares = ends / ends[-1]
    uniform = np.concatenate([rng.random(500), shares[:-1], [0.0, np.nextafter(1.0, 0.0)]])
    uniform = uniform[uniform < 1.0]
    assert (Lookup(shares).find(uniform) == np.searchsorted(shares, uniform, side="right")).all()


def test_a_lookup_by_hand():
    """Weights 2, 0, 1: values 0 and 1 are the first's, 2 the third's."""
    assert Lookup(np.array([2, 2, 3])).find(np.array([0, 1, 2])).tolist() == [0, 0, 2]


@pytest.mark.parametrize("size", [1, 2, 50, 3000])
def test_values_that_came_before_are_marked_as_a_slow_loop_marks_them(size):
    rng = np.random.default_rng(size)
    for top in (1, size, 100 * size, 2**31 - 1):
        values = rng.integers(0, top, size=size).astype(np.int32)
        seen: set[int] = set()
        slow = []
        for value in values.tolist():
            slow.append(value in seen)
            seen.add(value)
        assert _repeated(values).tolist() == slow
