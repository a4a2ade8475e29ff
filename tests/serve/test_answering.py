"""Figures about answers."""

import math

import pytest

from isoglot.serve.answering import agreement, search_answer
from tests.serve.library import Hit


def test_the_overlap_is_that_of_the_example_worked_by_hand():
    # Pairs: {a,b,c} and {b,c,d,e} share 2 of 4; {a,b,c} and {b} share 1 of 3; {b,c,d,e} and {b}
    # share 1 of 4. The mean is (1/2 + 1/3 + 1/4) / 3 = 13/36.
    found = agreement([["a", "b", "c"], ["c", "b", "d", "e"], ["b"]])
    assert found.overlap == pytest.approx(13 / 36)
    assert [(one.doc_id, one.queries) for one in found.shared] == [("b", [0, 1, 2]), ("c", [0, 1])]
    assert found.in_all == 1


def test_equal_answers_agree_whole_and_different_ones_not_at_all():
    assert agreement([["a", "b"], ["b", "a"]]).overlap == 1.0
    assert agreement([["a"], ["b"]]).overlap == 0.0


@pytest.mark.parametrize("answers", [[], [["a"]], [[], []]])
def test_without_two_answers_there_is_no_overlap(answers):
    found = agreement(answers)
    assert found.overlap is None
    assert (found.shared, found.in_all) == ([], 0)


def test_scores_that_are_no_numbers_are_null():
    hits = [Hit("1", "en", "text", math.nan, -math.inf)]
    (result,) = search_answer(hits, None, "score", 0.001).results
    assert result.score is None and result.similarity is None


def test_languages_with_equal_counts_are_in_order_of_their_codes():
    hits = [Hit(str(n), lang, "", 1.0, 1.0) for n, lang in enumerate(["yo", "ar", "zh", "zh"])]
    answer = search_answer(hits, "ar", "score", 0.0123456)
    assert [(one.language, one.passages) for one in answer.languages] == [
        ("zh", 2),
        ("ar", 1),
        ("yo", 1),
    ]
    assert answer.own_language == 1
    assert answer.took_ms == 12.35
