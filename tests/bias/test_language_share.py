from dataclasses import replace

import numpy as np
import pytest

from isoglot.bias.language_share import language_shares, relevant_shares
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference.bias_heads import language_shares as shares_by_definition


def test_worked_example():
    found = language_shares(worked_example(), 3)
    # First three of the German questions: d1 d3 e1, d2 d1 d3. Of the English: e1 d1 e2, d2 e2 e1.
    assert found.by_query_lang == {
        "de": {"de": pytest.approx(5 / 6), "en": pytest.approx(1 / 6)},
        "en": {"de": pytest.approx(2 / 6), "en": pytest.approx(4 / 6)},
    }
    assert found.same_language == pytest.approx({"de": 5 / 6, "en": 4 / 6})
    # Three of the six passages are German.
    assert found.expected_by_lang == found.same_language_expected == {"de": 0.5, "en": 0.5}
    # -(5/6 log2 5/6 + 1/6 log2 1/6) = .219 + .431; -(1/3 log2 1/3 + 2/3 log2 2/3) = .528 + .390
    assert found.entropy == pytest.approx({"de": 0.650, "en": 0.918}, abs=1e-3)


def test_the_first_passages_make_the_confusion_matrix():
    found = language_shares(worked_example(), 1)
    assert found.by_query_lang == {"de": {"de": 1, "en": 0}, "en": {"de": 0.5, "en": 0.5}}
    assert found.entropy == {"de": 0, "en": 1}


def test_the_pool_share_and_the_share_of_relevant_passages_differ():
    qrels = [("1", "de", doc_id) for doc_id in ("d1", "e1")]
    evaluation = evaluate_rankings([("1", "de")], qrels, ["d1 d2 d3 e1"])
    assert language_shares(evaluation, 2).expected_by_lang == {"de": 0.75, "en": 0.25}
    assert relevant_shares(evaluation.ranks).by_pair == {"de": {"de": 0.5, "en": 0.5}}


def test_a_query_language_without_passages_has_no_same_language_share():
    qrels = [("1", "zh", doc_id) for doc_id in ("d1", "e1")]
    found = language_shares(evaluate_rankings([("1", "zh")], qrels, ["d1 e1"]), 1)
    assert found.by_query_lang == {"zh": {"de": 1, "en": 0}}
    assert found.same_language == found.same_language_expected == {}


@pytest.mark.parametrize("depth", [1, 4, 100])
@pytest.mark.parametrize("seed", range(10))
def test_equals_the_definition(seed, depth):
    evaluation, rankings = random_case(seed, passages=15)
    found = language_shares(evaluation, depth)
    assert found.depth == min(depth, 15)
    by_lang = {
        lang: {k: share for k, share in row.items() if share}
        for lang, row in found.by_query_lang.items()
    }
    expected = shares_by_definition(evaluation.collection, rankings, depth)
    assert by_lang == {lang: pytest.approx(row) for lang, row in expected.items()}


def test_a_short_run_counts_what_it_lists():
    evaluation = worked_example()
    passages = evaluation.ranking.passages.copy()
    passages[0, 1:] = -1
    passages[2:] = -1
    found = language_shares(
        replace(evaluation, ranking=replace(evaluation.ranking, passages=passages)), 3
    )
    # d1, and d2 d1 d3; the English questions have nothing.
    assert found.by_query_lang == {"de": {"de": 1, "en": 0}}


def test_too_little_to_count():
    assert language_shares(worked_example(run_depth=0), 1) is None
    assert language_shares(worked_example(run_depth=2), 3) is None
    one_language = evaluate_rankings([("1", "de")], [("1", "de", "d1")], ["d1 d2"])
    assert language_shares(one_language, 1) is None


def test_relevant_passages_in_one_language_are_no_target():
    evaluation = evaluate_rankings([("1", "de")], [("1", "de", "d1")], ["d1 e1"])
    assert relevant_shares(evaluation.ranks).values.shape == (0, 2)
    assert np.isfinite(language_shares(evaluation, 1).shares).all()
