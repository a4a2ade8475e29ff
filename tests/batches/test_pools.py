"""Pools against a plain search through the table."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.batches.pools import Pools
from isoglot.data.parallel import ABSENT, ParallelTable, build_table
from isoglot.data.prepared import views
from isoglot.records import Group
from tests.batches.tables import LANGS, group, ragged_table


def members(table: ParallelTable, dataset: int, query: int | None, passage: int) -> list[int]:
    return [
        g
        for g in range(len(table))
        if table.dataset[g] == dataset
        and (query is None or table.query[g, query] != ABSENT)
        and table.passage[g, passage] != ABSENT
    ]


@pytest.mark.parametrize("seed", range(5))
def test_pool_sizes_equal_a_plain_count(seed):
    table = ragged_table(seed)
    for dataset in range(2):
        sizes = Pools(table, dataset).sizes
        for query in range(len(LANGS)):
            for passage in range(len(LANGS)):
                assert sizes[query, passage] == len(members(table, dataset, query, passage))
        assert sizes[-1].tolist() == [
            len(members(table, dataset, None, p)) for p in range(len(LANGS))
        ]


@pytest.mark.parametrize("languages", [4, 32, 33, 100])
def test_pools_of_any_number_of_languages_equal_a_plain_search(languages, monkeypatch):
    """Up to 32 languages a group's fit into one number."""
    monkeypatch.setattr(views, "_BLOCK", 7)
    rng = np.random.default_rng(languages)
    langs = [f"l{i:03}" for i in range(languages)]

    def some() -> tuple[str, ...]:
        return tuple(rng.choice(langs, size=rng.integers(1, 4), replace=False))

    rows = [group(f"g{i}", some(), some()) for i in range(40)] + [group("all", tuple(langs))]
    table = build_table({"a": rows[:13], "b": rows[13:]}).select(rng.random(41) < 0.8)
    for dataset in range(2):
        pools = Pools(table, dataset)
        for lang in range(languages):
            assert pools.monolingual_groups(lang).tolist() == members(table, dataset, lang, lang)
            assert pools.sizes[-1, lang] == len(members(table, dataset, None, lang))
        crossing = [
            g
            for g in range(len(table))
            if table.dataset[g] == dataset
            and ((table.query[g] != ABSENT) | (table.passage[g] != ABSENT)).sum() > 1
        ]
        assert pools.cross_lingual_groups().tolist() == crossing


@pytest.mark.parametrize("seed", range(5))
def test_every_member_of_a_pool_is_drawn_by_exactly_one_step_of_the_uniform_number(seed):
    table = ragged_table(seed)
    pools = Pools(table, dataset=1)
    for query in [*range(len(LANGS)), None]:
        row = len(LANGS) if query is None else query
        for passage in range(len(LANGS)):
            expected = members(table, 1, query, passage)
            steps = (np.arange(len(expected)) + 0.5) / max(1, len(expected))
            langs = np.full(len(expected), row), np.full(len(expected), passage)
            assert sorted(pools.draw(*langs, steps)) == expected


def test_the_largest_number_below_one_draws_the_last_member_not_the_next_pool():
    table = ragged_table()
    pools = Pools(table, 0)
    for query in range(len(LANGS)):
        for passage in range(len(LANGS)):
            if pools.sizes[query, passage]:
                drawn = pools.draw(
                    np.array([query]), np.array([passage]), np.array([np.nextafter(1.0, 0.0)])
                )
                assert drawn[0] in members(table, 0, query, passage)


def test_a_data_set_of_which_nothing_is_trained_on_has_empty_pools():
    rows = [Group("s", {"sw": "q"}, {"th": "p"})]
    table = build_table({"a": [group(f"g{i}", ("en", "de")) for i in range(3)], "b": rows})
    pools = Pools(table.restrict(["en", "de"]), 1)
    assert pools.sizes.sum() == 0
    assert len(pools.monolingual_groups(0)) == len(pools.cross_lingual_groups()) == 0
