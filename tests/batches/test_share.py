"""How the share of monolingual batches changes from the first batch to the last."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.batches.plan import CROSS_LINGUAL, MONOLINGUAL, BatchPlan
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import build_table
from isoglot.errors import ConfigError
from tests.batches.tables import full_table, group


def plan(count: int | None, first: float, last: float, seed: int = 0, **options) -> BatchPlan:
    shares = {"monolingual_share": first, "monolingual_share_end": last}
    return BatchPlan(full_table(), BatchConfig(size=4, **shares, **options), seed, count=count)


def test_a_linear_share_by_hand():
    """Five batches from 0.8 to 0.2: a quarter of the way, 0.15, from one to the next."""
    drawn = plan(5, 0.8, 0.2)
    assert [drawn.share_at(i) for i in range(5)] == pytest.approx([0.8, 0.65, 0.5, 0.35, 0.2])
    assert drawn.expected_share == pytest.approx(0.5)


def test_a_step_by_hand():
    """Five batches: 0, 1/4, 1/2, 3/4 and 1 of the way, and the step is at 1/2."""
    drawn = plan(5, 1.0, 0.0, monolingual_share_shape="step")
    assert [drawn.share_at(i) for i in range(5)] == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert drawn.expected_share == 0.4
    assert [drawn.batch(i).kind for i in range(5)] == [MONOLINGUAL] * 2 + [CROSS_LINGUAL] * 3


def test_a_run_of_one_batch_has_the_first_share():
    assert plan(1, 0.8, 0.2).share_at(0) == plan(1, 0.8, 0.2).expected_share == 0.8


def test_batches_after_the_run_have_the_last_share():
    assert plan(5, 0.8, 0.2).share_at(7) == pytest.approx(0.2)


def test_batches_are_monolingual_with_the_share_of_their_place():
    """At each of 11 places, over 400 seeds; the standard deviation is at most 0.025."""
    kinds = np.zeros(11)
    table = full_table()
    config = BatchConfig(size=2, monolingual_share=0.9, monolingual_share_end=0.1)
    for seed in range(400):
        drawn = BatchPlan(table, config, seed, count=11)
        kinds += [drawn.batch(i).kind == MONOLINGUAL for i in range(11)]
    assert np.abs(kinds / 400 - np.linspace(0.9, 0.1, 11)).max() < 0.09


def test_a_batch_depends_on_its_index_and_not_on_those_drawn_before():
    forwards = [plan(30, 0.0, 1.0).batch(i).groups.tolist() for i in range(30)]
    once = plan(30, 0.0, 1.0)
    backwards = [once.batch(i).groups.tolist() for i in reversed(range(30))]
    assert forwards == backwards[::-1]


def test_a_share_that_ends_where_it_begins_draws_what_a_constant_one_does():
    constant = BatchPlan(full_table(), BatchConfig(size=4, monolingual_share=0.3), 5)
    scheduled = plan(20, 0.3, 0.3, seed=5)
    for i in range(20):
        assert constant.batch(i).kind == scheduled.batch(i).kind
        assert constant.batch(i).query_texts.tolist() == scheduled.batch(i).query_texts.tolist()


def test_a_share_that_changes_needs_the_count_of_batches():
    with pytest.raises(ValueError, match="needs the run's count of batches"):
        plan(None, 0.8, 0.2)


@pytest.mark.parametrize("shares", [(0.0, 0.5), (0.5, 0.0)])
def test_monolingual_batches_anywhere_in_the_run_are_checked(shares):
    first, last = shares
    config = BatchConfig(size=4, monolingual_share=first, monolingual_share_end=last)
    table = build_table({"d": [group(f"g{i}", ("en",), ("de",)) for i in range(20)]})
    with pytest.raises(ConfigError, match=r"a monolingual batch needs 4 .* de \(0\), en \(0\)"):
        BatchPlan(table, config, 0, count=10)


@pytest.mark.parametrize("shares", [(1.0, 0.5), (0.5, 1.0)])
def test_cross_lingual_batches_anywhere_in_the_run_are_checked(shares):
    first, last = shares
    config = BatchConfig(size=4, monolingual_share=first, monolingual_share_end=last)
    table = build_table({"d": [group(f"g{i}", ("en",)) for i in range(20)]})
    with pytest.raises(ConfigError, match="a cross-lingual batch needs 4"):
        BatchPlan(table, config, 0, count=10)
