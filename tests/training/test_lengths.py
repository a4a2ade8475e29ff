"""The split of a batch by length: all texts, each once, and as cheap as the best of all splits."""

from itertools import combinations

import numpy as np
import pytest

from isoglot.training.inputs import lengths as module
from isoglot.training.inputs.lengths import split_by_length


def cost(lengths, parts):
    rounded = -(-lengths // module._STEP) * module._STEP
    return sum(len(part) * rounded[part].max() + module._CALL for part in parts)


def cheapest(lengths, most_parts):
    """Try every way to cut the sorted texts."""
    order = np.argsort(lengths, kind="stable")
    splits = [
        np.split(order, cuts)
        for count in range(most_parts)
        for cuts in combinations(range(1, len(order)), count)
    ]
    return min(cost(lengths, parts) for parts in splits)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("most_parts", [1, 2, 4])
def test_the_split_is_the_cheapest_of_all(monkeypatch, seed, most_parts):
    monkeypatch.setattr(module, "_CALL", [0, 16, 128][seed % 3])
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 60, size=10)
    parts = split_by_length(lengths, most_parts)
    assert sorted(np.concatenate(parts).tolist()) == list(range(10))
    assert len(parts) <= most_parts
    assert cost(lengths, parts) == cheapest(lengths, most_parts)


def test_one_long_text_is_not_worth_the_padding_of_all_others():
    # In one part: 8 x 100 + 128 = 928. In two: 7 x 4 + 128 + 1 x 100 + 128 = 384.
    lengths = np.array([4, 4, 4, 100, 4, 4, 4, 4])
    assert [part.tolist() for part in split_by_length(lengths, 8)] == [
        [0, 1, 2, 4, 5, 6, 7],
        [3],
    ]


def test_texts_of_like_length_stay_together():
    assert len(split_by_length(np.array([9, 10, 11, 12, 8, 7]), 8)) == 1


def test_one_text_is_one_part():
    assert [part.tolist() for part in split_by_length(np.array([7]), 8)] == [[0]]
