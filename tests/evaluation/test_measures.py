import numpy as np
import pytest

from isoglot.errors import ConfigError
from isoglot.evaluation.measures import (
    Measure,
    RankedRelevants,
    compute,
    parse_measure,
    parse_measures,
)


@pytest.fixture
def one_query():
    """Three relevant passages: relevance 1 at rank 5, relevance 3 at rank 2, relevance 1 at 20."""
    return RankedRelevants.from_pairs(
        np.array([3]), np.array([5, 2, 20]), np.array([1.0, 3.0, 1.0])
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # At ranks 2, 5 and 20 there are 1, 2 and 3 relevant passages so far.
        ("AP", (1 / 2 + 2 / 5 + 3 / 20) / 3),
        # Cut at 5, the third adds nothing but still counts among the three.
        ("AP@5", (1 / 2 + 2 / 5) / 3),
        ("RR", 1 / 2),
        ("RR@1", 0),
        # One of the three is within the first 2, two within the first 10.
        ("R@2", 1 / 3),
        ("R@10", 2 / 3),
        ("P@10", 2 / 10),
        ("Success@1", 0),
        ("Success@2", 1),
        # Gain 3 at rank 2 and 1 at rank 5; the best order has gains 3, 1, 1 at ranks 1, 2, 3.
        (
            "nDCG@10",
            (3 / np.log2(3) + 1 / np.log2(6)) / (3 / np.log2(2) + 1 / np.log2(3) + 1 / np.log2(4)),
        ),
        # The best order cut at 2 has gains 3, 1.
        ("nDCG@2", (3 / np.log2(3)) / (3 / np.log2(2) + 1 / np.log2(3))),
    ],
)
def test_worked_example(one_query, name, value):
    assert compute(parse_measure(name), one_query) == pytest.approx([value])


def test_queries_with_fewer_relevant_passages_are_padded():
    relevants = RankedRelevants.from_pairs(
        np.array([1, 2]), np.array([4, 3, 1]), np.array([1.0, 1.0, 2.0])
    )
    assert relevants.ranks.tolist() == [[4, np.inf], [1, 3]]
    assert relevants.gains.tolist() == [[1, 0], [2, 1]]
    assert compute(Measure("AP"), relevants).tolist() == [1 / 4, (1 + 2 / 3) / 2]


@pytest.mark.parametrize(
    ("text", "name"),
    [("AP", "AP"), ("mAP", "AP"), ("MAP", "AP"), ("MRR@10", "RR@10"), ("nDCG@10", "nDCG@10")],
)
def test_names_and_aliases(text, name):
    assert str(parse_measure(text)) == name


def test_a_measure_is_computed_once():
    assert parse_measures(["AP", "mAP", "R@1"]) == (Measure("AP"), Measure("R", 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ndcg@10", r"unknown measure 'ndcg@10'; use AP, .* with a cutoff as in nDCG@10"),
        ("R@ten", r"unknown measure 'R@ten'; use AP, R, nDCG, RR, P, Success"),
        ("AP(rel=2)", "unknown measure"),
        ("R", "measure 'R' needs a cutoff of 1 or more; write R@10"),
        ("P", "needs a cutoff"),
        ("nDCG@0", "needs a cutoff of 1 or more"),
    ],
)
def test_wrong_names(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_measure(text)


def test_no_measures():
    with pytest.raises(ConfigError, match="no measures given; name one or more, such as AP"):
        parse_measures([])


def test_precision_is_never_asked_without_a_cutoff(one_query):
    with pytest.raises(ValueError, match="precision needs a cutoff"):
        compute(Measure("P"), one_query)
