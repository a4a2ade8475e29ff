import numpy as np
import pytest
from pydantic import ValidationError

from isoglot.config.search import SearchConfig
from isoglot.errors import ConfigError
from isoglot.retrieval.calibration import Background, read_background
from isoglot.retrieval.policies import Pool, merge
from tests.reference import slow_policies

# One query; mean 0 and spread 0.1.
BACKGROUND = Background(np.zeros(1), np.full(1, 0.1))


def pool(lang, *scores):
    return Pool(lang, np.array([scores], np.float32).reshape(1, -1))


def answer(pools, **options):
    """The answer to the first query, as ``lang + place``, places from 1."""
    merged = merge(pools, BACKGROUND, SearchConfig(**options))
    places = zip(merged.pools[0].tolist(), merged.places[0].tolist(), strict=True)
    return " ".join(f"{pools[number].lang}{place + 1}" for number, place in places if number >= 0)


GERMAN = pool("de", 0.90, 0.88, 0.86, 0.84)
SWAHILI = pool("sw", 0.85, 0.80, 0.70)


def test_score_is_one_ranking_by_similarity():
    assert answer([GERMAN, SWAHILI], k=5) == "de1 de2 de3 sw1 de4"


def test_balanced_worked_example():
    # In standard deviations 9, 8.8, 8.6, 8.4 and 8.5, 8, 7; less 0.2 times 0, 1, 4, 9:
    # de 9, 8.6, 7.8, 6.6; sw 8.5, 7.8, 6.2.
    found = merge([GERMAN, SWAHILI], BACKGROUND, SearchConfig(k=7, policy="balanced", balance=0.2))
    assert found.scores[0] == pytest.approx([9, 8.6, 8.5, 7.8, 7.8, 6.6, 6.2], abs=1e-5)
    assert answer([GERMAN, SWAHILI], k=3, policy="balanced", balance=0.2) == "de1 de2 sw1"


def test_balanced_with_hardly_any_balance_is_score_and_with_much_takes_turns():
    pools = [GERMAN, SWAHILI]
    assert answer(pools, k=5, policy="balanced", balance=1e-9) == answer(pools, k=5)
    found = answer(pools, k=7, policy="balanced", balance=1e9)
    assert found == "de1 sw1 de2 sw2 de3 sw3 de4"


def test_one_language_keeps_its_order_under_every_policy():
    for policy in ("score", "balanced", "quota"):
        assert answer([GERMAN], k=4, policy=policy) == "de1 de2 de3 de4"


def test_quota_gives_equal_shares_and_the_odd_place_to_the_best():
    assert answer([GERMAN, SWAHILI], k=4, policy="quota") == "de1 de2 sw1 sw2"
    assert answer([GERMAN, SWAHILI], k=5, policy="quota") == "de1 de2 de3 sw1 sw2"
    assert answer([GERMAN, SWAHILI, pool("te", 0.1)], k=2, policy="quota") == "de1 sw1"


def test_quota_of_a_number_or_by_language():
    pools = [GERMAN, SWAHILI, pool("te", 0.95)]
    assert answer(pools, k=9, policy="quota", quota=1) == "te1 de1 sw1"
    assert answer(pools, k=2, policy="quota", quota=1) == "te1 de1"
    assert answer(pools, k=9, policy="quota", quota={"sw": 2, "de": 1}) == "de1 sw1 sw2"


def test_places_that_a_language_leaves_free_go_to_others():
    pools = [GERMAN, SWAHILI, pool("te", 0.95)]
    assert answer(pools, k=6, policy="quota", quota=2) == "te1 de1 de2 de3 sw1 sw2"
    quota = {"te": 4, "sw": 1}  # German has none, and gets none
    assert answer(pools, k=9, policy="quota", quota=quota) == "te1 sw1 sw2 sw3"
    assert answer([SWAHILI, pool("te", 0.95)], k=9, policy="quota") == "te1 sw1 sw2 sw3"


def test_ties_go_to_the_earlier_pool_and_the_better_place():
    pools = [pool("sw", 0.5, 0.5), pool("de", 0.5, 0.5)]
    assert answer(pools, k=4) == "sw1 sw2 de1 de2"
    assert answer(pools, k=4, policy="balanced") == "sw1 de1 sw2 de2"
    assert answer(pools, k=3, policy="quota") == "sw1 sw2 de1"


def test_an_equal_score_goes_to_the_higher_similarity():
    # One standard deviation more, and one standard deviation to pay.
    pools = [pool("sw", 0.5), pool("de", 1.0, 0.75)]
    quarter = Background(np.zeros(1), np.full(1, 0.25))
    found = merge(pools, quarter, SearchConfig(k=3, policy="balanced", balance=1))
    assert found.scores[0].tolist() == [4, 2, 2]
    assert found.pools[0].tolist() == [1, 1, 0]


@pytest.mark.parametrize("policy", ["score", "balanced", "quota"])
def test_what_was_not_found_is_never_in_an_answer(policy):
    short = pool("te", 0.99, -np.inf, -np.inf)
    none = Pool("yo", np.empty((1, 0), np.float32))
    merged = merge([short, SWAHILI, none], BACKGROUND, SearchConfig(k=6, policy=policy))
    assert merged.pools[0].tolist() == [0, 1, 1, 1, -1, -1]
    assert merged.places[0].tolist() == [0, 0, 1, 2, -1, -1]
    assert np.isneginf(merged.scores[0, 4:]).all()


def test_a_quota_for_a_language_that_is_not_searched_is_refused():
    with pytest.raises(ConfigError, match=r"'te' is not searched.*languages are de, sw"):
        answer([GERMAN, SWAHILI], policy="quota", quota={"te": 3})


def test_balance_must_be_a_positive_number():
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValidationError, match="balance"):
            SearchConfig(policy="balanced", balance=wrong)


def random_pools(rng, queries=6):
    """Pools, and the scores of random passages of each language."""
    pools, samples = [], []
    for lang in ("ar", "de", "sw", "te"):
        found = int(rng.integers(0, 9))
        # Few different scores, so that there are ties.
        scores = np.sort(rng.integers(0, 12, (queries, found)) / 4, axis=1)[:, ::-1].astype("f4")
        scores = np.where(np.arange(found) < rng.integers(0, 10, (queries, 1)), scores, -np.inf)
        pools.append(Pool(lang, scores.astype("f4")))
        samples.append((rng.integers(0, 9, (queries, 5)) / 4).astype("f4"))
    return pools, samples


def random_options(rng):
    quota = [None, int(rng.integers(1, 4)), {"sw": 3, "ar": int(rng.integers(1, 6))}]
    return [
        {"policy": "score"},
        {"policy": "balanced", "balance": float(rng.choice([0.12, 0.5, 3]))},
        {"policy": "quota", "quota": quota[rng.integers(3)]},
    ]


def by_definition(pools, samples, config, query):
    rows = [pool.scores[query].tolist() for pool in pools]
    standard = slow_policies.standard_scores(rows, [own[query].tolist() for own in samples])
    if config.policy == "score":
        return slow_policies.by_score(rows, config.k)
    if config.policy == "balanced":
        return slow_policies.balanced(rows, standard, config.balance, config.k)
    quotas = [config.k // len(pools)] * len(pools)
    if isinstance(config.quota, dict):
        quotas = [config.quota.get(pool.lang, 0) for pool in pools]
    elif config.quota is not None:
        quotas = [config.quota] * len(pools)
    shut_out = config.quota is not None
    return slow_policies.by_quota(rows, standard, quotas, config.k, shut_out=shut_out)


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    pools, samples = random_pools(rng)
    for options in random_options(rng):
        config = SearchConfig(k=int(rng.integers(1, 20)), **options)
        merged = merge(pools, read_background(samples), config)
        for query in range(6):
            expected = by_definition(pools, samples, config, query)
            kept = merged.pools[query] >= 0
            assert kept.sum() == len(expected)
            assert merged.pools[query, kept].tolist() == [lang for lang, _, _ in expected]
            assert merged.places[query, kept].tolist() == [place for _, place, _ in expected]
            assert merged.scores[query, kept] == pytest.approx([s for *_, s in expected])


@pytest.mark.parametrize("seed", range(10))
def test_the_order_within_a_language_never_changes(seed):
    rng = np.random.default_rng(seed)
    pools, samples = random_pools(rng)
    for options in random_options(rng):
        merged = merge(pools, read_background(samples), SearchConfig(k=15, **options))
        for number, query in np.ndindex(len(pools), 6):
            places = merged.places[query, merged.pools[query] == number]
            # A quota may leave out nothing that comes before what it takes.
            assert places.tolist() == list(range(len(places)))
