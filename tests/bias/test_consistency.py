from dataclasses import replace

import numpy as np
import pytest

from isoglot.bias import consistency as module
from isoglot.bias.consistency import consistency, parallel_queries
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference.bias_heads import consistency as consistency_by_definition


def test_worked_example():
    found = consistency(worked_example(), 3)
    assert found.langs == ("de", "en")
    assert (found.depth, found.query_pairs) == (3, 2)
    # d1 d3 e1 and e1 d1 e2 share two of three, d2 d1 d3 and d2 e2 e1 one.
    assert found.mean(found.overlap) == pytest.approx((2 / 3 + 1 / 3) / 2)
    # Count ranks up from the 4 that passages outside share: 3, 2, 1 and 0. Over all 6 passages
    # their sum is 6, that of their squares 14, so the variance is 14 - 6 * 6 / 6 = 8.
    # First question: d1 has 3 and 2, e1 has 1 and 3: (3 * 2 + 1 * 3 - 6) / 8.
    # Second question: d2 has 3 and 3: (3 * 3 - 6) / 8.
    assert found.mean(found.correlation) == pytest.approx((3 / 8 + 3 / 8) / 2)
    assert found.means(found.overlap) == pytest.approx({"de": 0.5, "en": 0.5})


def test_the_same_list_is_1_and_another_order_is_less():
    queries = [("1", "de"), ("1", "en"), ("1", "zh")]
    qrels = [(*query, "d1") for query in queries]
    evaluation = evaluate_rankings(
        queries, qrels, ["d1 d2 e1 e2 z1 z2"] * 2 + ["d2 d1 e1 e2 z1 z2"]
    )
    found = consistency(evaluation, 2)
    de, en, zh = range(3)
    assert found.overlap[de, en] == found.overlap[de, zh] == 1
    assert found.correlation[de, en] == pytest.approx(1)
    # Weights 2 1 against 1 2, sum 3, squares 5: (4 - 9 / 6) / (5 - 9 / 6).
    assert found.correlation[de, zh] == pytest.approx(2.5 / 3.5)
    assert np.isnan(np.diag(found.overlap)).all()


@pytest.mark.parametrize("depth", [1, 4, 100])
@pytest.mark.parametrize("seed", range(10))
def test_equals_the_definition(seed, depth, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 2)
    evaluation, rankings = random_case(seed, questions=8, passages=15)
    expected = consistency_by_definition(evaluation.collection, rankings, depth)
    found = consistency(evaluation, depth)
    langs = found.langs if found else ()
    for i, left in enumerate(langs):
        for j, right in enumerate(langs):
            values = expected.get(tuple(sorted((left, right))), [])
            assert found.pairs[i, j] == len(values)
            mean = np.mean(values, axis=0) if values else [np.nan, np.nan]
            assert (found.overlap[i, j], found.correlation[i, j]) == pytest.approx(
                tuple(mean), nan_ok=True
            )
    assert bool(found) == bool(expected)


def test_equal_ids_alone_are_not_parallel():
    # As in MIRACL: every language numbers its own questions.
    evaluation = evaluate_rankings(
        [("1", "de"), ("1", "en")], [("1", "de", "d1"), ("1", "en", "e1")], ["d1 e1"] * 2
    )
    assert parallel_queries(evaluation.collection, evaluation.ranks).shape == (0, 2)
    assert consistency(evaluation, 1) is None


def test_short_lists_of_a_run():
    evaluation = worked_example()
    passages = evaluation.ranking.passages.copy()
    passages[[0, 2], 1:] = -1  # d1 alone, e1 alone
    passages[1] = -1
    found = consistency(
        replace(evaluation, ranking=replace(evaluation.ranking, passages=passages)), 3
    )
    # The second question has no list in German: overlap 0 of 3, and no correlation.
    assert found.mean(found.overlap) == 0
    # d1 and e1 weigh 3 each: (0 - 3 * 3 / 6) / (9 - 9 / 6).
    assert found.mean(found.correlation) == pytest.approx(-1.5 / 7.5)


def test_two_empty_lists_of_a_run_are_not_compared():
    evaluation = worked_example()
    ranking = replace(evaluation.ranking, passages=np.full((4, 6), -1, dtype=np.int32))
    found = consistency(replace(evaluation, ranking=ranking), 3)
    assert found.mean(found.overlap) is None
    assert found.means(found.overlap) == {}


def test_too_little_to_compare():
    assert consistency(worked_example(run_depth=0), 1) is None
    assert consistency(worked_example(run_depth=2), 3) is None
