import numpy as np
import pytest

from isoglot.retrieval.calibration import Moments, read_background
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


@pytest.mark.parametrize("seed", range(5))
def test_moments_give_the_background_of_the_scores(seed):
    rng = np.random.default_rng(seed)
    samples = [rng.normal(lang, 1 + lang, (2 + 3 * lang, 6)).astype("f4") for lang in range(4)]
    queries = rng.normal(size=(5, 6)).astype("f4")
    found = Moments.of(samples).background(queries)
    expected = read_background([queries @ sample.T for sample in samples])
    assert found.mean == pytest.approx(expected.mean, rel=1e-4, abs=1e-4)
    assert found.spread == pytest.approx(expected.spread, rel=1e-4)


def test_moments_of_one_passage_each_have_no_spread():
    samples = [np.array([[0.6, 0.8]], "f4"), np.array([[0.28, 0.96]], "f4")]
    found = Moments.of(samples).background(np.array([[0.8, 0.6]], "f4"))
    assert found.spread == pytest.approx([1.0])
    assert found.mean == pytest.approx([(0.96 + 0.8) / 2])
