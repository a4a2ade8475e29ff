"""The texts of a batch again in other languages."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from isoglot.batches.parallels import draw_parallels
from isoglot.batches.plan import BatchPlan
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import ABSENT, build_table
from isoglot.data.prepared.views import Cells
from tests.batches.tables import full_table, group, ragged_table
from tests.batches.test_drawn import digest


class Uniform:
    """Stands for a generator whose numbers are known."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = np.array(numbers)

    def random(self, count: int) -> np.ndarray:
        assert count == len(self.numbers)
        return self.numbers


def slowly(numbers, cells, groups, langs):
    """Return the text and language of each row by going through its group's languages."""
    drawn = []
    for number, group_, lang in zip(numbers, groups, langs, strict=True):
        own = cells[group_, lang]
        others = [k for k in range(cells.shape[1]) if cells[group_, k] not in (ABSENT, own)]
        other = others[int(number * len(others))] if others else ABSENT
        drawn.append((cells[group_, other] if others else ABSENT, other))
    return drawn


def test_drawn_by_hand():
    """Of the first group's three other languages the second third is language 2, of text 12; the
    second group has one other language; the third has none."""
    cells = Cells(np.array([[10, 11, 12, 13], [-1, 21, -1, 23], [-1, -1, 32, -1]], dtype=np.int32))
    rng = Uniform([0.5, 0.9, 0.5])
    drawn = draw_parallels(rng, cells, np.arange(3), np.array([1, 1, 2]))
    assert drawn.rows.tolist() == [12, 23, ABSENT]
    assert drawn.langs.tolist() == [2, 3, ABSENT]


def test_the_very_same_text_is_no_translation():
    cells = Cells(np.array([[7, 7, 8], [7, 7, ABSENT]], dtype=np.int32))
    drawn = draw_parallels(Uniform([0.1, 0.1]), cells, np.arange(2), np.array([0, 0]))
    assert drawn.rows.tolist() == [8, ABSENT]


@pytest.mark.parametrize("seed", range(10))
def test_drawn_as_a_slow_loop_draws_them(seed):
    rng = np.random.default_rng(seed)
    array = np.where(rng.random((50, 7)) < 0.4, rng.integers(0, 999, (50, 7)), ABSENT)
    array[:, 3] = 5
    cells = Cells(array.astype(np.int32), np.flatnonzero(rng.random(50) < 0.8).astype(np.int32))
    groups = rng.integers(0, len(cells), 30)
    langs = np.full(30, 3)
    numbers = np.append(rng.random(28), [0.0, np.nextafter(1.0, 0.0)])
    drawn = draw_parallels(Uniform(numbers.tolist()), cells, groups, langs)
    pairs = list(zip(drawn.rows.tolist(), drawn.langs.tolist(), strict=True))
    assert pairs == slowly(numbers, cells, groups, langs)


def test_a_batch_without_any_has_none():
    cells = Cells(np.array([[3, -1], [4, -1]], dtype=np.int32))
    drawn = draw_parallels(Uniform([0.1, 0.2]), cells, np.arange(2), np.zeros(2, dtype=np.int64))
    assert drawn.rows.tolist() == drawn.langs.tolist() == [ABSENT, ABSENT]


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual", "hybrid"])
def test_every_row_has_its_texts_in_another_language_where_its_group_does(regime):
    table = ragged_table(3, groups=120)
    config = BatchConfig(size=8, regime=regime, small_languages="skip")
    plan = BatchPlan(table, config, 0, parallels=True)
    for i in range(100):
        batch = plan.batch(i)
        for side, cells in (("query", table.query), ("passage", table.passage)):
            langs = getattr(batch, f"{side}_langs")
            other_texts = getattr(batch, f"parallel_{side}_texts")
            other_langs = getattr(batch, f"parallel_{side}_langs")
            for row, group_ in enumerate(batch.groups):
                others = {k for k in range(4) if k != langs[row] and cells[group_, k] != ABSENT}
                if others:
                    assert other_langs[row] in others
                    assert other_texts[row] == cells[group_, other_langs[row]]
                else:
                    assert other_langs[row] == other_texts[row] == ABSENT


def test_the_other_language_is_uniform_and_drawn_for_query_and_passage_apart():
    plan = BatchPlan(full_table(), BatchConfig(size=8), 0, parallels=True)
    pairs: Counter[tuple[int, int]] = Counter()
    for i in range(1500):
        batch = plan.batch(i)
        query = (batch.parallel_query_langs - batch.query_langs) % 4
        passage = (batch.parallel_passage_langs - batch.passage_langs) % 4
        pairs.update(zip(query.tolist(), passage.tolist(), strict=True))
    # 12,000 rows over 3 x 3 places: 1,333 each, standard deviation 34.
    assert set(pairs) == {(a, b) for a in (1, 2, 3) for b in (1, 2, 3)}
    assert all(abs(count - 1333) < 150 for count in pairs.values())


def test_the_rest_of_a_batch_is_the_same_with_and_without():
    config = BatchConfig(size=8, negatives_per_query=2)
    plans = [BatchPlan(full_table(), config, 1, parallels=drawn) for drawn in (False, True)]
    assert digest(plans[0]) == digest(plans[1])
    without, with_them = (plan.batch(3) for plan in plans)
    assert (without.parallel_query_texts == ABSENT).all()
    assert (without.parallel_passage_langs == ABSENT).all()
    assert (with_them.parallel_query_texts != ABSENT).all()


def test_they_depend_on_seed_and_index_alone():
    def langs(seed: int, indices) -> list[list[int]]:
        plan = BatchPlan(full_table(), BatchConfig(size=8), seed, parallels=True)
        return [plan.batch(i).parallel_query_langs.tolist() for i in indices]

    assert langs(0, range(9)) == langs(0, reversed(range(9)))[::-1]
    assert langs(0, range(9)) != langs(1, range(9))


def test_groups_of_one_language_have_none():
    table = build_table({"d": [group(f"g{i}", ("en",)) for i in range(20)]})
    plan = BatchPlan(table, BatchConfig(size=8, regime="monolingual"), 0, parallels=True)
    batch = plan.batch(0)
    assert (batch.parallel_query_texts == ABSENT).all()
    assert (batch.parallel_passage_langs == ABSENT).all()
