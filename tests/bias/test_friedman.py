from dataclasses import replace

import numpy as np
import pytest

from isoglot.bias.friedman import friedman_tests
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference.bias_rank_tests import friedman as friedman_by_definition


def test_worked_example():
    found = friedman_tests(worked_example().ranks)
    german, english = found["de"], found["en"]
    # Both German questions have the German answer first: mean places 1 and 2 of 2.
    assert german.mean_ranks_by_lang == {"de": 1, "en": 2}
    # 12 n / (L (L + 1)) ((1 - 1.5)^2 + (2 - 1.5)^2) = 12 * 2 / 6 * .5; W = 2 / (2 * 1)
    assert (german.statistic, german.df, german.kendall_w) == (2, 1, 1)
    assert german.p == pytest.approx(0.1573, abs=1e-4)
    # The English ones have one of each: no order of languages at all.
    assert english.mean_ranks_by_lang == {"de": 1.5, "en": 1.5}
    assert (english.statistic, english.p, english.kendall_w) == (0, 1, 0)
    assert (german.queries, german.left_out) == (2, 0)


def three_languages(answers):
    """German questions with these answers, each in the ranking z1 z2 z3 e1 e2 e3 d1 d2 d3."""
    queries = [(str(i), "de") for i in range(len(answers))]
    qrels = [(str(i), "de", doc) for i, docs in enumerate(answers) for doc in docs.split()]
    return evaluate_rankings(queries, qrels, ["z1 z2 z3 e1 e2 e3 d1 d2 d3"] * len(answers)).ranks


def test_the_languages_that_give_the_most_numbers_are_tested():
    # All three: 2 queries x 3 = 6. German and English: 4 queries x 2 = 8, Chinese not needed.
    found = friedman_tests(three_languages(["d1 e1 z1", "d2 e2 z2", "d1 e2", "d2 e1", "d1 z1"]))
    assert found["de"].passage_langs == ("de", "en")
    assert (found["de"].queries, found["de"].left_out) == (4, 1)
    assert found["de"].mean_ranks_by_lang == {"de": 2, "en": 1}


def test_of_equally_many_numbers_the_larger_set_then_the_first_languages_count():
    # All three: 2 x 3. German and English: 3 x 2.
    larger = friedman_tests(three_languages(["d1 e1 z1", "d2 e2 z2", "d1 e2"]))
    assert larger["de"].passage_langs == ("de", "en", "zh")
    first = friedman_tests(three_languages(["d1 z1", "d2 z2", "d1 e1", "d2 e2"]))
    assert first["de"].passage_langs == ("de", "en")


def test_the_best_of_several_passages_in_a_language_counts():
    found = friedman_tests(three_languages(["d1 d2 e3", "e1 e3 d3"]))
    assert found["de"].mean_ranks_by_lang == {"de": 2, "en": 1}


def test_one_query_is_no_test():
    assert friedman_tests(three_languages(["d1 e1"])) == {}
    assert friedman_tests(three_languages(["d1 e1", "d1 z1"])) == {}


def test_relevant_passages_in_one_language_are_no_test():
    assert friedman_tests(three_languages(["d1", "d2 d3"])) == {}


@pytest.mark.parametrize("seed", range(30))
def test_equals_scipy(seed):
    evaluation, rankings = random_case(seed, questions=12, passages=20)
    found = friedman_tests(evaluation.ranks)
    expected = friedman_by_definition(evaluation.collection, rankings)
    assert found.keys() == expected.keys()
    for lang, (langs, queries, left_out, statistic, p) in expected.items():
        test = found[lang]
        assert (set(test.passage_langs), test.queries, test.left_out) == (langs, queries, left_out)
        assert test.statistic == pytest.approx(statistic, abs=1e-9)
        assert test.p == pytest.approx(p)
        assert test.mean_ranks.sum() == pytest.approx(len(langs) * (len(langs) + 1) / 2)
        assert 0 <= test.kendall_w <= 1 + 1e-12


def test_a_passage_beyond_the_depth_of_a_run_leaves_no_test():
    ranks = worked_example().ranks
    assert friedman_tests(replace(ranks, ranked=np.array([True] * 7 + [False]))) == {}
