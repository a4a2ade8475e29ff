"""What is removed: on paper, and as the papers write it."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.models.correction.formulas import (
    language_subspace,
    principal_directions,
    projection,
    shortening,
    unit,
    within_covariance,
)
from tests.reference import slow_correction as slow


def test_vectors_of_length_one_on_paper():
    assert unit([[3.0, 4.0], [0.0, 0.0]]).tolist() == [[0.6, 0.8], [0.0, 0.0]]


def test_the_first_direction_of_a_language_on_paper():
    # The second moments of (1, 0) and (0.6, 0.8) are [[1.36, .48], [.48, .64]], with eigenvalues
    # 1.6 and 0.4; the first belongs to (2, 1) / sqrt 5, half way between the two texts.
    found = principal_directions(np.array([[1.0, 0.0], [0.6, 0.8]]), 1)
    assert np.abs(found) == pytest.approx(np.array([[2.0, 1.0]]) / 5**0.5)


def test_what_is_left_without_a_direction_on_paper():
    # P = I - d d^T with d = (0.6, 0.8); of (1, 0) that leaves (1 - .36, -.48).
    found = projection(np.array([[0.6, 0.8]]))
    assert found == pytest.approx(np.array([[0.64, -0.48], [-0.48, 0.36]]))


def test_the_subspace_of_languages_on_paper():
    # The common mean of the three is (1, 1, 2). Less it, they are (-1, 0, 0), (1, 0, 0) and
    # (0, 0, 0): they differ along the first axis alone.
    means = np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 2.0], [1.0, 1.0, 2.0]])
    found = language_subspace(means, None)
    assert np.abs(found) == pytest.approx(np.array([[1.0, 0.0, 0.0]]))


def test_directions_are_the_singular_vectors():
    vectors = unit(np.random.default_rng(0).normal(size=(50, 6)) + 1.0)
    for count in (1, 3, 6):
        fast, obvious = principal_directions(vectors, count), slow.first_directions(vectors, count)
        assert fast.T @ fast == pytest.approx(obvious.T @ obvious, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_second_step_of_the_authors_changes_no_direction(count):
    means = np.random.default_rng(1).normal(size=(5, 8))
    fast, obvious = language_subspace(means, count), slow.language_directions(means, count)
    assert projection(fast) == pytest.approx(projection(obvious), abs=1e-9)


def test_languages_differ_in_one_direction_less_than_there_are():
    means = np.random.default_rng(2).normal(size=(5, 8))
    assert language_subspace(means, None).shape == (4, 8)
    assert language_subspace(means, 9).shape == (4, 8)
    left = means @ projection(language_subspace(means, None))
    assert left == pytest.approx(np.tile(left[0], (5, 1)))  # all means are one


def test_equal_means_differ_in_no_direction():
    assert language_subspace(np.ones((3, 4)), None).shape == (0, 4)


def test_a_projection_removes_one_direction_after_the_other():
    rng = np.random.default_rng(3)
    directions = language_subspace(rng.normal(size=(4, 6)), None)
    vector = rng.normal(size=6)
    assert projection(directions) @ vector == pytest.approx(slow.without(vector, directions))


def test_how_translations_vary_on_paper():
    # (1, 0) and (0, 1) say the same, each (.5, -.5) from their mean or the opposite; the third text
    # has no translation. Their products are .25 in size, two of them over three texts.
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found = within_covariance(vectors, np.array([0, 0, 1]))
    assert found == pytest.approx(np.array([[1.0, -1.0], [-1.0, 1.0]]) / 6)


def test_how_translations_vary_one_text_at_a_time():
    rng = np.random.default_rng(3)
    vectors, group = rng.normal(size=(40, 5)), np.arange(40) % 7
    fast, obvious = within_covariance(vectors, group), slow.within_covariance(vectors, group)
    assert fast == pytest.approx(np.array(obvious))


def test_directions_made_shorter_on_paper():
    # Variances 4 and 1 are raised by .004, and are 1.599 and .401 of their mean 2.504. The root
    # divides the axes by 1.265 and .633.
    found = shortening(np.diag([4.0, 1.0]), 0.5)
    assert found == pytest.approx(np.diag([1 / 1.2645, 1 / 0.6332]), abs=1e-3)


def test_a_whole_normalisation_leaves_the_same_variance_everywhere():
    rng = np.random.default_rng(4)
    spread = rng.normal(size=(200, 5)) * np.array([1.0, 0.5, 2.0, 1.5, 0.8])
    group = np.arange(200) // 4
    matrix = shortening(within_covariance(spread, group), 0.5)
    after = within_covariance(spread @ matrix, group)
    assert after == pytest.approx(np.eye(5) * after[0, 0], rel=0.02, abs=0.02 * after[0, 0])
