from dataclasses import replace

import pytest

from isoglot.bias.max_at_r import complete_at, max_at_r
from isoglot.bias.values import QueryValues
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference.double_loop_bias import bias_by_definition, means


def test_worked_example():
    found = max_at_r(worked_example().ranks)
    assert found.worst.tolist() == [3, 4, 2, 2]
    # (log2 6 - log2 3) / (log2 6 - log2 2) = 1 / 1.585; with 4 it is .585 / 1.585; 2 is the best.
    assert found.normalized == pytest.approx([63.093, 36.907, 100, 100], abs=1e-3)
    # The first German question has both answers among the first 3, the second has not.
    assert complete_at(worked_example().ranks, 3).values.tolist() == [True, False, True, True]


def test_the_last_rank_of_all_is_0():
    evaluation = evaluate_rankings(
        [("1", "de")], [("1", "de", "d1"), ("1", "de", "e1")], ["d1 d2 d3 e1"]
    )
    assert max_at_r(evaluation.ranks).normalized.tolist() == [0]


def test_a_pool_of_relevant_passages_only_is_at_its_best():
    evaluation = evaluate_rankings([("1", "de")], [("1", "de", "d1"), ("1", "de", "e1")], ["e1 d1"])
    assert max_at_r(evaluation.ranks).normalized.tolist() == [100]


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_definition(seed):
    evaluation, rankings = random_case(seed, passages=15)
    expected = bias_by_definition(evaluation.collection, rankings)
    found = max_at_r(evaluation.ranks)
    for figure, values in (
        ("max_at_r", QueryValues(found.query_langs, found.worst)),
        ("max_at_r_normalized", QueryValues(found.query_langs, found.normalized)),
        ("complete_at_10", complete_at(evaluation.ranks, 10)),
        ("complete_at_100", complete_at(evaluation.ranks, 100)),
    ):
        assert values.by_lang == pytest.approx(means(expected.get(figure, {})))


def test_a_run_says_what_is_complete_but_not_the_worst_rank():
    # A run of three passages for each query: e2 of the second German question is not in it.
    ranks = worked_example().ranks
    cut = replace(ranks, ranked=ranks.multilingual_ranks <= 3)
    assert cut.ranked.sum() == 7
    assert complete_at(cut, 3).values.tolist() == [True, False, True, True]
    assert max_at_r(cut).worst.size == 0


def test_relevant_passages_in_one_language_are_not_counted():
    evaluation = evaluate_rankings(
        [("1", "de")], [("1", "de", "d1"), ("1", "de", "d2")], ["d1 e1 d2"]
    )
    assert max_at_r(evaluation.ranks).worst.size == 0
    assert complete_at(evaluation.ranks, 3).values.size == 0
