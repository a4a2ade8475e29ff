import numpy as np
import pytest

from isoglot.retrieval.calibration import read_background
from tests.reference.slow_policies import standard_scores


def test_worked_example():
    # Mean of 1 3 4 8: 4. Variances of the languages: 1 and 4; as many passages of each: 2.5.
    found = read_background([np.array([[1, 3]], np.float32), np.array([[4, 8]], np.float32)])
    assert found.mean == pytest.approx([4])
    assert found.spread == pytest.approx([2.5**0.5])
    standard = found.standardize(np.array([[4 + 2.5**0.5, 4, -np.inf]], np.float32))
    assert standard == pytest.approx(np.array([[1, 0, -np.inf]]))


def test_a_language_with_few_passages_hardly_counts():
    many = np.array([[-1, 1] * 500], np.float32)
    found = read_background([many, np.array([[0.5]], np.float32)])
    assert found.spread == pytest.approx([1], abs=1e-3)
    assert found.mean == pytest.approx([0], abs=1e-3)


def test_scores_that_do_not_spread_keep_their_unit():
    found = read_background([np.array([[0.25]], np.float32), np.array([[0.75]], np.float32)])
    assert found.standardize(np.array([[1.5]], np.float32)) == pytest.approx(np.array([[1.0]]))


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    samples = [rng.normal(lang, 1 + lang, (4, 1 + 3 * lang)).astype("f4") for lang in range(4)]
    scores = rng.normal(size=(4, 6)).astype("f4")
    found = read_background(samples).standardize(scores)
    for query, row in enumerate(found):
        own = [sample[query].tolist() for sample in samples]
        assert row == pytest.approx(standard_scores([scores[query].tolist()], own)[0])
