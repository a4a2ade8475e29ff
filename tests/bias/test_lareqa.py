import math
from dataclasses import replace

import numpy as np
import pytest

from isoglot.bias.lareqa import language_pair_precision, limit_to_one_target, remove_one_target
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference import bias_targets
from tests.reference.double_loop_bias import means


def test_limit_to_one_target_worked_example():
    found = limit_to_one_target(worked_example().ranks)
    # German questions: e1 moves from 3 to 2 when d1 is taken out, e2 from 4 to 3.
    # English questions: each answer is first without the other.
    assert found.values == pytest.approx(np.array([[1, 1 / 2], [1, 1 / 3], [1, 1], [1, 1]]))
    own, other = found.own_and_other
    assert own.by_lang == {"de": 1, "en": 1}
    assert other.by_lang == pytest.approx({"de": 5 / 12, "en": 1})


def test_remove_one_target_worked_example():
    found = remove_one_target(worked_example().ranks)
    # d1 e1 at 1 and 3: AP is (1 + 2/3) / 2 = 5/6; without d1 e1 is second, 1/2; without e1, 1.
    # d2 e2 at 1 and 4: AP is 3/4; without d2 e2 is third, 1/3; without e2, 1.
    expected = [[5 / 6 - 1 / 2, 5 / 6 - 1], [3 / 4 - 1 / 3, 3 / 4 - 1], [0, 0], [0, 0]]
    assert found.values == pytest.approx(np.array(expected))
    own, other = found.own_and_other
    assert (own.macro, other.macro) == pytest.approx((3 / 16, -5 / 48))


def test_language_pair_precision_worked_example():
    found = language_pair_precision(worked_example().ranks)
    # 1 / rank, with the other answer in the way.
    expected = [[1, 1 / 3], [1, 1 / 4], [1 / 2, 1], [1, 1 / 2]]
    assert found.values == pytest.approx(np.array(expected))
    assert found.by_pair["en"] == {"de": 0.75, "en": 0.75}


def test_several_answers_in_a_language():
    qrels = [("1", "de", doc_id) for doc_id in ("d1", "d2", "e1")]
    ranks = evaluate_rankings([("1", "de")], qrels, ["d1 e1 d3 d2"]).ranks
    # Without e1, the German ones are at 1 and 3; e1 is first without them.
    assert limit_to_one_target(ranks).values == pytest.approx(np.array([[(1 + 2 / 3) / 2, 1]]))
    # AP of ranks 1 2 4: (1 + 1 + 3/4) / 3 = 11/12. Without d1: 1 3, 5/6; without d2: 1 2, 1;
    # without e1: 1 3, 5/6.
    german = ((11 / 12 - 5 / 6) + (11 / 12 - 1)) / 2
    expected = np.array([[german, 11 / 12 - 5 / 6]])
    assert remove_one_target(ranks).values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        (limit_to_one_target, bias_targets.limited_to_one_target),
        (remove_one_target, bias_targets.one_target_removed),
        (language_pair_precision, bias_targets.language_pair_precision),
    ],
)
def test_equals_measuring_what_is_left(seed, fast, slow):
    evaluation, rankings = random_case(seed, passages=15)
    found = fast(evaluation.ranks)
    expected = list(slow(evaluation.collection, rankings))
    values = [
        {
            lang: value
            for lang, value in zip(found.passage_langs, row, strict=True)
            if not math.isnan(value)
        }
        for row in found.values.tolist()
    ]
    assert found.query_langs.tolist() == [lang for lang, _ in expected]
    assert values == [pytest.approx(by_lang, abs=1e-12) for _, by_lang in expected]
    assert found.by_pair == {
        lang: pytest.approx(row, abs=1e-12) for lang, row in bias_targets.by_pair(expected).items()
    }
    for side, by_lang in zip(
        found.own_and_other, bias_targets.own_and_other(expected), strict=True
    ):
        assert side.by_lang == pytest.approx(means(by_lang), abs=1e-12)


def test_a_passage_beyond_the_depth_of_a_run_leaves_no_query():
    ranks = worked_example().ranks
    cut = replace(ranks, ranked=np.array([True] * 7 + [False]))
    for figure in (limit_to_one_target, remove_one_target, language_pair_precision):
        assert figure(cut).values.shape == (0, 2)
        assert figure(cut).own_and_other[0].macro is None
