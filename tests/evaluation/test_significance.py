import time

import numpy as np
import pytest
import scipy.stats

from isoglot.errors import ConfigError
from isoglot.evaluation import resampling
from isoglot.evaluation.significance import (
    Design,
    bootstrap_interval,
    check_resamples,
    compare_systems,
    default_permutations,
    holm,
    sign_flip_p_values,
)
from tests.reference import slow_significance as slow


def random_values(rng, clusters=7, pools=3, n=40):
    """Values with gaps: not every cluster has a query in every pool, some have several."""
    values = rng.random(n)
    return values, rng.integers(0, clusters, n) * 10, rng.integers(0, pools, n) + 5


def test_interval_of_two_queries():
    # Samples of two queries with values 0 and 1: both 0, one of each, both 1, with chances 1/4,
    # 1/2, 1/4. The middle 95 % reach from 0 to 1; the middle 40 % are all at 1/2.
    values, codes, pool = np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 0])
    assert bootstrap_interval(values, codes, pool) == (0, 1)
    assert bootstrap_interval(values, codes, pool, level=0.4) == (0.5, 0.5)


def test_parallel_questions_count_once():
    # The same question in two languages, always with the same value: as uncertain as one language.
    rng = np.random.default_rng(0)
    values, questions = rng.random(30), np.arange(30)
    one = bootstrap_interval(values, questions, np.zeros(30, dtype=int))
    pools = np.repeat([0, 1], 30)
    both = bootstrap_interval(np.tile(values, 2), np.tile(questions, 2), pools)
    apart = bootstrap_interval(np.tile(values, 2), np.arange(60), pools)
    assert both == pytest.approx(one)
    assert apart[1] - apart[0] < 0.8 * (one[1] - one[0])


@pytest.mark.parametrize("seed", range(5))
def test_interval_equals_a_loop_over_samples(seed):
    values, clusters, pools = random_values(np.random.default_rng(seed))
    names = np.unique(clusters)
    draws = np.random.default_rng(seed).integers(0, len(names), size=(50, len(names)))
    averages = slow.sampled_averages(values, clusters, pools, names[draws].tolist())
    found = bootstrap_interval(values, clusters, pools, level=0.8, resamples=50, seed=seed)
    assert found == pytest.approx(np.quantile(averages, [0.1, 0.9]))


def test_blocks_change_nothing(monkeypatch):
    data = random_values(np.random.default_rng(0))
    whole = bootstrap_interval(*data, resamples=100)
    monkeypatch.setattr(resampling, "_BLOCK_BYTES", 1000)
    assert len(list(resampling.draw_counts(7, 100, np.random.default_rng(0)))) > 1
    assert bootstrap_interval(*data, resamples=100) == pytest.approx(whole)


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(1).exponential(size=200)
    ours = bootstrap_interval(values, np.arange(200), np.zeros(200, dtype=int), resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", random_state=2
    ).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.005)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(3)
    clusters, pools = np.tile(np.arange(60), 3), np.repeat([0, 1, 2], 60)
    hits = 0
    for seed in range(300):
        values = np.tile(rng.normal(size=60), 3) + rng.normal(size=180)
        low, high = bootstrap_interval(values, clusters, pools, resamples=300, seed=seed)
        hits += low <= 0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_size_of_xquad_r_takes_about_a_second():
    # 1,190 questions in 11 languages; 11 monolingual, 110 cross-lingual, 11 multilingual pools.
    clusters, pools = np.tile(np.arange(1190), 132), np.repeat(np.arange(132), 1190)
    values = np.random.default_rng(0).random(len(pools))
    started = time.process_time()
    low, high = bootstrap_interval(values, clusters, pools)
    assert time.process_time() - started < 4
    assert low < 0.5 < high


@pytest.mark.parametrize(
    ("lengths", "options", "message"),
    [
        ((0, 0, 0), {}, "0 values, 0 clusters, 0 pools; give one of each per value"),
        ((2, 1, 2), {}, "2 values, 1 clusters, 2 pools"),
        ((2, 2, 2), {"level": 1.0}, "level 1.0 and resamples 2000; use 0 < level < 1"),
        ((2, 2, 2), {"resamples": 0}, "resamples 0"),
    ],
)
def test_what_has_no_interval(lengths, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(*(np.zeros(n, dtype=int) for n in lengths), **options)


@pytest.mark.parametrize(
    ("shares", "p_value"),
    [
        # Figures of the 8 sign patterns: ±.6, ±.4, ±.2, 0, 0; two are as far from 0 as .6.
        ([0.3, 0.2, 0.1], 2 / 8),
        # ±.4 twice and ±.2: seen is .2, and all four patterns reach it.
        ([0.3, -0.1], 1),
        # .1 + .2 is not .3 in binary, yet a tie: +++, ---, and ±(.3 - .1 - .2) = 0 do not reach .6.
        ([0.1, 0.2, 0.3], 2 / 8),
        # 0 = .1 + .2 - .3 up to rounding: every pattern is as large.
        ([0.1, 0.2, -0.3], 1),
        # Clusters without a difference change nothing.
        ([0.3, 0.2, 0.1, 0, 0], 2 / 8),
        ([0, 0], 1),
    ],
)
def test_exact_p_values_by_hand(shares, p_value):
    assert sign_flip_p_values(np.array(shares)[:, None]).tolist() == [p_value]


def test_random_patterns_count_the_one_seen():
    # 13 equal differences: 2 of 8,192 patterns reach their sum. Of 99 random ones none does.
    shares = np.full((13, 1), 0.1)
    assert sign_flip_p_values(shares, permutations=99).tolist() == [(0 + 1) / (99 + 1)]
    # 14 differences that cancel: every pattern is at least as far from 0.
    shares = np.tile([[0.1], [-0.1]], (7, 1))
    assert sign_flip_p_values(shares, permutations=99).tolist() == [1]


@pytest.mark.parametrize("seed", range(5))
def test_exact_p_value_equals_swapping_the_systems(seed):
    rng = np.random.default_rng(seed)
    baseline, clusters, pools = random_values(rng, clusters=6)
    system = baseline + rng.normal(0.1, 0.2, size=len(baseline))
    expected = slow.exact_p_value(baseline, system, clusters.tolist(), pools.tolist())
    assert compare(np.stack([baseline, system]), clusters, pools).p_values[0, 0] == expected


def test_p_values_agree_with_scipy():
    rng = np.random.default_rng(4)
    for size in (10, 40):
        differences = rng.normal(0.25, 1, size=size)
        theirs = scipy.stats.permutation_test(
            (differences, np.zeros(size)),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=20_000,
            random_state=5,
        ).pvalue
        ours = sign_flip_p_values(differences[:, None] / size, permutations=20_000)[0]
        assert ours == pytest.approx(theirs, abs=1e-12 if size == 10 else 0.012)


def test_signs_are_even_and_all_drawn(monkeypatch):
    monkeypatch.setattr(resampling, "_BLOCK_BYTES", 1000)
    blocks = list(resampling.draw_signs(3, 10_000, np.random.default_rng(0), width=5))
    signs = np.concatenate(blocks)
    assert len(blocks) == 400 and signs.shape == (10_000, 3)
    assert set(signs.ravel().tolist()) == {-1, 1}
    assert abs(signs.mean(axis=0)).max() < 0.03


def test_five_percent_of_the_tests_of_equal_systems_are_below_five_percent():
    shares = np.random.default_rng(6).laplace(size=(40, 2000))
    below = (sign_flip_p_values(shares, permutations=999) < 0.05).mean()
    assert 0.035 < below < 0.065


def test_unrelated_queries_under_one_id_do_no_harm():
    # MIRACL numbers the queries of every language by its own articles, so ids collide by chance.
    rng = np.random.default_rng(7)
    joined = rng.laplace(size=(40, 2000)) + rng.laplace(size=(40, 2000))
    below = (sign_flip_p_values(joined, permutations=999) < 0.05).mean()
    assert 0.035 < below < 0.065


def test_parallel_queries_taken_for_independent_ones_give_false_alarms():
    question = np.random.default_rng(8).laplace(size=(40, 1000))
    apart = np.tile(question, (11, 1))
    assert (sign_flip_p_values(apart, permutations=200) < 0.05).mean() > 0.3
    assert (sign_flip_p_values(11 * question, permutations=200) < 0.05).mean() < 0.08


def test_holm_by_hand():
    # Sorted: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 = .04, raised to the .06 before.
    found = holm(np.array([[0.01, 0.04], [0.03, 0.005]]))
    assert found == pytest.approx(np.array([[0.03, 0.06], [0.06, 0.02]]))
    assert holm(np.array([0.7, 0.6])).tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_stepping_down(seed):
    p_values = np.random.default_rng(seed).random(9) ** 4
    assert holm(p_values).tolist() == pytest.approx(slow.holm(p_values.tolist()))


def test_more_permutations_for_more_tests():
    assert default_permutations(48, 0.05) == 10_000
    # 600 tests: 600 / 120,001 is just below .05 / 10.
    assert default_permutations(600, 0.05) == 120_000


def test_an_interval_needs_ten_samples_beyond_each_end():
    check_resamples(400, 0.05)
    check_resamples(200, 0.1)
    with pytest.raises(
        ConfigError, match=r"399 resamples are too few for intervals at alpha 0.05; use 400 or more"
    ):
        check_resamples(399, 0.05)
    with pytest.raises(ConfigError, match="use 20,000 or more"):
        compare(np.ones((2, 3)), [0, 1, 2], [0, 0, 0], alpha=0.001)


def compare(values, clusters, pools, systems=((0,), (1,)), pairs=((0, 1),), **options):
    """Compare by the average of all pools, and by each pool as a family of its own."""
    numbers = [np.unique(codes, return_inverse=True)[1] for codes in (clusters, pools)]
    count = numbers[1].max() + 1
    members = np.hstack([np.ones((count, 1), dtype=bool), np.eye(count, dtype=bool)])
    families = np.array([0] + [1] * count)
    return compare_systems(values, Design(*numbers, members, families), systems, pairs, **options)


def test_figures_by_hand():
    # Baseline: pool 0 has 0.2 and 0.4, mean 0.3; pool 1 has 0.9; average 0.6.
    # Seeds of the system: 0.5 and 0.7 in pool 0, 0.9 in pool 1, average 0.75; and 0.7 and 0.9 in
    # pool 0, 0.9 in pool 1, average 0.85. Mean 0.8, deviation sqrt(2 x 0.05^2) = 0.0707.
    values = np.array([[0.2, 0.4, 0.9], [0.5, 0.7, 0.9], [0.7, 0.9, 0.9]])
    found = compare(values, [0, 1, 0], [0, 0, 1], [(0,), (1, 2)])
    assert found.figures == pytest.approx(np.array([[0.6, 0.3, 0.9], [0.8, 0.7, 0.9]]))
    assert found.differences == pytest.approx(np.array([[0.2, 0.4, 0]]))
    assert np.isnan(found.deviations[0]).all()
    assert found.deviations[1] == pytest.approx([0.005**0.5, 0.02**0.5, 0])
    # Two clusters, both better: 2 of 4 patterns. In pool 1 there is no difference.
    assert found.p_values.tolist() == [[0.5, 0.5, 1]]
    # The first figure is a family of one, the other two correct each other: 2 x 0.5 and 1.
    assert found.corrected.tolist() == [[0.5, 1, 1]]
    assert np.isnan(found.seed_intervals).all()


def test_intervals_of_differences_equal_a_loop_over_samples():
    rng = np.random.default_rng(9)
    _, clusters, pools = random_values(rng)
    values = rng.random((3, len(clusters)))
    found = compare(values, clusters, pools, [(0, 1), (2,)], alpha=0.2, resamples=100, seed=11)
    names = np.unique(clusters)
    draws = np.random.default_rng(np.random.SeedSequence(11).spawn(2)[0]).integers(
        0, len(names), size=(100, len(names))
    )
    differences = values[2] - values[:2].mean(axis=0)
    averages = slow.sampled_averages(differences, clusters, pools, names[draws].tolist())
    assert found.intervals[:, 0, 0] == pytest.approx(np.quantile(averages, [0.1, 0.9]))


def test_seeds_that_disagree_widen_the_interval():
    # Every query prefers the system, but one of its seeds is as much worse as the other is better.
    rng = np.random.default_rng(10)
    base = rng.random(50)
    values = np.stack([base, base, base + 0.3, base - 0.2])
    one_pool = np.zeros(50, dtype=int)
    found = compare(values, np.arange(50), one_pool, [(0, 1), (2, 3)])
    assert found.differences[0, 0] == pytest.approx(0.05)
    assert found.p_values[0, 0] > 0.5
    assert found.corrected[0, 0] == found.p_values[0, 0]
    assert found.intervals[:, 0, 0] == pytest.approx([0.05, 0.05])
    low, high = found.seed_intervals[:, 0, 0]
    assert low < 0 < high


def test_seeds_in_another_order_are_no_difference():
    values = np.random.default_rng(0).random((3, 20))
    again = values[[0, 1, 2, 2, 0, 1]]
    found = compare(again, np.arange(20), np.zeros(20, dtype=int), [(0, 1, 2), (3, 4, 5)])
    assert (found.p_values == 1).all()


def test_all_pairs_are_one_family():
    values = np.stack([np.zeros(8), np.ones(8), np.zeros(8)])
    pairs = [(0, 1), (0, 2), (1, 2)]
    one_pool = np.zeros(8, dtype=int)
    found = compare(values, np.arange(8), one_pool, [(0,), (1,), (2,)], pairs)
    # All eight queries differ: 2 of 256 patterns, times 3 tests, then times 2 and raised.
    assert found.p_values[:, 0].tolist() == [2 / 256, 1, 2 / 256]
    assert found.corrected[:, 0] == pytest.approx([6 / 256, 1, 6 / 256])


def test_the_same_seed_gives_the_same_result():
    values = np.random.default_rng(0).random((2, 40))
    first, again, other = (
        compare(values, np.arange(40), np.zeros(40, dtype=int), seed=seed) for seed in (1, 1, 2)
    )
    assert first.p_values.tolist() == again.p_values.tolist()
    assert first.intervals.tolist() == again.intervals.tolist()
    assert first.intervals.tolist() != other.intervals.tolist()


def test_a_language_that_some_samples_lack():
    # Pool 1 has one query of 30; a third of the samples are without it and leave the pool out.
    values = np.stack([np.zeros(31), np.ones(31)])
    pools = np.array([0] * 30 + [1])
    found = compare(values, [*range(30), 29], pools, resamples=500)
    assert found.intervals[:, 0].tolist() == [[1, 1, 1], [1, 1, 1]]
