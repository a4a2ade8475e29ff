from dataclasses import replace

import numpy as np
import pytest

from isoglot.bias.rank_distance import rank_distances
from isoglot.bias.values import QueryValues
from isoglot.data.collection import Collection
from isoglot.evaluation import evaluate
from isoglot.records import Passage, Qrel, Query
from tests.bias.cases import random_case, worked_example
from tests.reference.double_loop_bias import bias_by_definition, means


def test_worked_example():
    found = rank_distances(worked_example().ranks)
    # German questions: answers at 1 and 3, 1 and 4. English ones: at 1 and 2, twice.
    assert found.query_langs.tolist() == ["de", "de", "en", "en"]
    assert found.distances.tolist() == [2, 3, 1, 1]
    # Two answers are at least one rank apart, R - 1, and at most the pool's 6 passages less one.
    assert found.floors.tolist() == [1, 1, 1, 1]
    assert found.ceilings.tolist() == [5, 5, 5, 5]
    # 100 (distance - 1) / (6 - 2)
    assert found.normalized.tolist() == [25, 50, 0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_definition(seed):
    evaluation, rankings = random_case(seed, passages=15)
    expected = bias_by_definition(evaluation.collection, rankings)
    found = rank_distances(evaluation.ranks)
    for figure, values in (
        ("rank_distance", found.distances),
        ("rank_distance_floor", found.floors),
        ("rank_distance_normalized", found.normalized),
    ):
        by_lang = QueryValues(found.query_langs, values).by_lang
        assert by_lang == pytest.approx(means(expected.get(figure, {})))


def test_a_pool_of_relevant_passages_only_is_at_its_floor():
    collection = Collection(
        "all relevant",
        [Query("q", "de", "?")],
        [Passage("d", "de", "."), Passage("e", "en", ".")],
        [Qrel("q", "de", "d", 1), Qrel("q", "de", "e", 1)],
    )
    found = rank_distances(evaluate(collection, np.ones((1, 2)), np.ones((2, 2))).ranks)
    assert found.distances.tolist() == found.floors.tolist() == [1]
    assert found.normalized.tolist() == [0]


def test_a_passage_beyond_the_depth_of_a_run_leaves_no_query():
    ranks = worked_example().ranks
    ranked = np.array([True] * 7 + [False])
    assert rank_distances(replace(ranks, ranked=ranked)).distances.size == 0


def test_the_pool_of_one_language_leaves_no_query():
    assert rank_distances(worked_example().ranks.restrict(["en"])).distances.size == 0
