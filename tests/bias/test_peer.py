from dataclasses import replace

import numpy as np
import pytest

from isoglot.bias.peer import peer, pooled_kruskal_wallis
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference.bias_rank_tests import peer as peer_by_definition
from tests.reference.bias_rank_tests import pooled as pooled_by_definition


def test_four_answers_in_two_languages():
    qrels = [("1", "de", doc_id) for doc_id in ("d1", "d2", "e1", "e2")]
    evaluation = evaluate_rankings([("1", "de")], qrels, ["d1 d2 e1 e2 d3"])
    found = peer(evaluation.ranks)
    # Ranks 1 2 | 3 4, means 1.5 and 3.5 around 2.5: h = 3 (2 * 1 + 2 * 1) / 5 = 2.4, 1 df.
    assert found.values == pytest.approx([0.1213], abs=1e-4)
    assert found.informative.tolist() == [True]
    assert found.why_not is None


def test_the_ranks_are_taken_as_they_are():
    qrels = [("1", "de", doc_id) for doc_id in ("d1", "d2", "e1", "e2")]
    evaluation = evaluate_rankings([("1", "de")], qrels, ["d1 d2 d3 d4 e1 e2"])
    # Ranks 1 2 | 5 6, means 1.5 and 5.5 around 3.5: h = 3 * 16 / 17, not 2.4.
    assert peer(evaluation.ranks).values == pytest.approx([0.0929], abs=1e-4)


def test_one_passage_per_language_gives_the_same_value_for_any_ranking():
    found = peer(worked_example().ranks)
    # N = 2: h = N - 1 = 1 whatever the ranks, and the probability of 1 or more is .3173.
    assert found.values == pytest.approx([0.3173] * 4, abs=1e-4)
    assert not found.informative.any()
    assert "no query has several relevant passages in a language" in found.why_not
    assert found.why_not.endswith("the same for any ranking; Kendall's W compares languages there")


def test_relevant_passages_in_one_language_are_fair_and_say_nothing():
    qrels = [("1", "de", "d1"), ("1", "de", "d2")]
    found = peer(evaluate_rankings([("1", "de")], qrels, ["d1 e1 d2"]).ranks)
    assert found.values.tolist() == [1]
    assert found.informative.tolist() == [False]
    assert "no query has relevant passages in two languages" in found.why_not


@pytest.mark.parametrize("seed", range(20))
def test_peer_equals_the_definition(seed):
    evaluation, rankings = random_case(seed, passages=15)
    found = peer(evaluation.ranks)
    expected = list(peer_by_definition(evaluation.collection, rankings))
    assert found.query_langs.tolist() == [lang for lang, _, _ in expected]
    assert found.values == pytest.approx([p for _, p, _ in expected])
    assert found.informative.tolist() == [telling for _, _, telling in expected]


def test_pooled_worked_example():
    found = pooled_kruskal_wallis(worked_example().ranks)
    # German answers at 1 and 1, English at 3 and 4; with shared places 1.5 1.5 | 3 4 around 2.5.
    # H = 3 (2 * 1 + 2 * 1) / (1 + 1 + .25 + 2.25), and H / (N - 1) = 4 / 4.5.
    assert found["de"].statistic == pytest.approx(3 * 4 / 4.5)
    assert found["de"].epsilon_squared == pytest.approx(4 / 4.5)
    assert (found["de"].df, found["de"].passages) == (1, 4)
    # German answers at 2 and 1, English at 1 and 2: the same.
    assert (found["en"].statistic, found["en"].p) == (0, 1)


@pytest.mark.parametrize("seed", range(20))
def test_pooled_equals_scipy(seed):
    evaluation, rankings = random_case(seed, passages=15)
    found = pooled_kruskal_wallis(evaluation.ranks)
    expected = pooled_by_definition(evaluation.collection, rankings)
    assert found.keys() == expected.keys()
    for lang, (statistic, p) in expected.items():
        assert found[lang].statistic == pytest.approx(statistic)
        assert found[lang].p == pytest.approx(p)
        assert 0 <= found[lang].epsilon_squared <= 1 + 1e-12


def test_a_passage_beyond_the_depth_of_a_run_leaves_no_test():
    ranks = worked_example().ranks
    cut = replace(ranks, ranked=np.array([True] * 7 + [False]))
    assert peer(cut).values.size == 0
    assert "beyond the depth of the run" in peer(cut).why_not
    assert pooled_kruskal_wallis(cut) == {}
