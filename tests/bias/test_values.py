import numpy as np
import pytest

from isoglot.bias.values import LanguageTable, QueryValues


def test_every_language_weighs_the_same():
    values = QueryValues(np.array(["en", "de", "en", "en"]), np.array([1, 0, 1, 1]))
    assert values.by_lang == {"de": 0, "en": 1}
    assert values.macro == 0.5


def test_no_queries_have_no_mean():
    values = QueryValues(np.array([], dtype=np.str_), np.array([]))
    assert values.by_lang == {}
    assert values.macro is None


def table():
    nan = np.nan
    return LanguageTable(
        query_langs=np.array(["de", "de", "de", "zh"]),
        passage_langs=("de", "en", "es"),
        values=np.array([[4, 1, 3], [6, 2, nan], [8, nan, nan], [5, 5, 5]]),
    )


def test_pairs_are_means_over_the_queries_with_a_value_there():
    assert table().by_pair == {
        "de": {"de": 6, "en": 1.5, "es": 3},
        "zh": {"de": 5, "en": 5, "es": 5},
    }


def test_own_and_other_are_of_the_same_queries():
    own, other = table().own_and_other
    # The third query has no other language, the last none of its own.
    assert own.query_langs.tolist() == other.query_langs.tolist() == ["de", "de"]
    assert own.values.tolist() == [4, 6]
    assert other.values.tolist() == [2, 2]
    assert own.macro - other.macro == pytest.approx(3)
