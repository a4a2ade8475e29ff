from dataclasses import replace

import pytest

from isoglot.bias.preference import language_preference
from isoglot.bias.values import QueryValues
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference.double_loop_bias import bias_by_definition, means


def test_worked_example():
    found = language_preference(worked_example().ranks)
    # The second English question has d2 before e2.
    assert found.own_first.tolist() == [True, True, True, False]
    # One answer in each of two languages: a blind encoder has the own one first half of the time.
    assert found.expected.tolist() == [0.5, 0.5, 0.5, 0.5]


def test_more_answers_in_the_own_language_are_expected_to_win_more_often():
    answers = ("d1", "d2", "d3", "e1")
    evaluation = evaluate_rankings(
        [("1", "de")], [("1", "de", doc_id) for doc_id in answers], ["e1 d1 d2 d3"]
    )
    found = language_preference(evaluation.ranks)
    assert found.own_first.tolist() == [False]
    assert found.expected.tolist() == [0.75]


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_definition(seed):
    evaluation, rankings = random_case(seed, passages=15)
    expected = bias_by_definition(evaluation.collection, rankings)
    found = language_preference(evaluation.ranks)
    for figure, values in (
        ("language_preference_rate", found.own_first),
        ("language_preference_rate_expected", found.expected),
    ):
        by_lang = QueryValues(found.query_langs, values).by_lang
        assert by_lang == pytest.approx(means(expected.get(figure, {})))


def test_a_query_needs_an_answer_in_its_own_and_in_another_language():
    queries = [("1", "de"), ("2", "de"), ("3", "zh")]
    qrels = [("1", "de", "d1"), ("2", "de", "e1"), ("3", "zh", "d1"), ("3", "zh", "e1")]
    evaluation = evaluate_rankings(queries, qrels, ["d1 e1"] * 3)
    assert language_preference(evaluation.ranks).own_first.size == 0


def test_a_run_tells_the_first_answer_if_it_has_one_of_every_query():
    ranks = worked_example().ranks
    first = language_preference(replace(ranks, ranked=ranks.multilingual_ranks <= 1))
    assert first.own_first.tolist() == [True, True, True, False]
    # No answer of the second German question is ranked; the other three may be the easy ones.
    assert language_preference(replace(ranks, ranked=ranks.queries != 1)).own_first.size == 0


def test_a_query_without_an_answer_in_two_languages_need_not_be_ranked():
    queries = [("1", "de"), ("2", "de")]
    qrels = [("1", "de", "d1"), ("1", "de", "e1"), ("2", "de", "d2")]
    ranks = evaluate_rankings(queries, qrels, ["d1 e1 d2"] * 2).ranks
    found = language_preference(replace(ranks, ranked=ranks.queries == 0))
    assert found.own_first.tolist() == [True]
