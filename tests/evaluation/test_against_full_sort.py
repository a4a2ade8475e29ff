"""The one pass must equal scoring, sorting and measuring everything by definition."""

import numpy as np
import pytest

from isoglot.evaluation import evaluate
from isoglot.evaluation.counts import _score_rows
from tests.reference.full_sort import ranked_doc_ids, ranked_gains
from tests.reference.random_collections import exact_embeddings, exact_scores, random_collection
from tests.reference.slow_measures import measure

MEASURES = (
    *("AP", "AP@3", "R@1", "R@5", "R@100", "P@1", "P@20", "Success@2"),
    *("RR", "RR@3", "nDCG", "nDCG@1", "nDCG@4"),
)


def random_case(seed, similarity="dot", dtype=np.float32, **sizes):
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, **sizes)
    queries = exact_embeddings(rng, len(collection.queries), similarity, dtype)
    passages = exact_embeddings(rng, len(collection.passages), similarity, dtype)
    return collection, queries, passages


def as_dict(per_query):
    return {
        (r["setting"], r["query_lang"], r["passage_lang"], r["query_id"], r["measure"]): r["value"]
        for r in per_query.to_pylist()
    }


def by_definition(collection, scores):
    return {
        (*key, name): measure(name, gains)
        for key, gains in ranked_gains(collection, scores).items()
        for name in MEASURES
    }


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_every_value_equals_its_definition(seed, dtype, similarity):
    collection, queries, passages = random_case(seed, similarity, dtype)
    result = evaluate(collection, queries, passages, similarity=similarity, measures=MEASURES)
    expected = by_definition(collection, exact_scores(queries, passages, similarity))
    assert as_dict(result.per_query) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("langs", [("en",), ("ar", "bem", "de", "el", "hi", "zh")])
@pytest.mark.parametrize("seed", range(5))
def test_any_number_of_languages(seed, langs):
    collection, queries, passages = random_case(seed, langs=langs, questions=8, passages=40)
    result = evaluate(collection, queries, passages, similarity="dot", measures=MEASURES)
    expected = by_definition(collection, exact_scores(queries, passages, "dot"))
    assert as_dict(result.per_query) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_random_floats(seed):
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, passages=60)
    queries = rng.standard_normal((len(collection.queries), 16), dtype=np.float32)
    passages = rng.standard_normal((60, 16), dtype=np.float32)
    result = evaluate(collection, queries, passages, similarity="dot", measures=MEASURES)
    expected = by_definition(collection, queries.astype(np.float64) @ passages.T)
    assert as_dict(result.per_query) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("depth", [1, 3, 12, 1000])
@pytest.mark.parametrize("seed", range(10))
def test_the_ranking_is_the_head_of_the_full_sort(seed, depth):
    collection, queries, passages = random_case(seed)
    ranking = evaluate(collection, queries, passages, similarity="dot", run_depth=depth).ranking
    scores = exact_scores(queries, passages, "dot")
    for row in range(len(queries)):
        found = [collection.passages[i].doc_id for i in ranking.passages[row]]
        assert found == ranked_doc_ids(collection, scores[row], "*")[:depth]
        assert ranking.scores[row].tolist() == scores[row][ranking.passages[row]].tolist()


def test_blocks_of_scores_respect_the_budget_and_change_nothing():
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((7, 4), dtype=np.float32)
    passages = rng.standard_normal((300_000, 4), dtype=np.float32)
    passages[1] = passages[0]
    small = {query: scores.copy() for query, scores in _score_rows(queries, passages, 1)}
    large = {query: scores.copy() for query, scores in _score_rows(queries, passages, 1000)}
    assert list(small) == list(large) == list(range(7))
    for query in small:
        np.testing.assert_allclose(small[query], large[query], rtol=1e-5, atol=1e-5)
        assert small[query][0] == small[query][1]


def test_copies_of_a_vector_tie_whatever_the_matrix_product_rounds():
    rng = np.random.default_rng(1)
    collection = random_collection(rng, passages=203)
    passages = np.tile(rng.standard_normal(37, dtype=np.float32), (203, 1))
    passages[::2] *= 4  # under cosine these are copies as well
    queries = rng.standard_normal((len(collection.queries), 37), dtype=np.float32)
    result = evaluate(collection, queries, passages, measures=MEASURES)
    expected = by_definition(collection, np.zeros((len(queries), 203)))
    assert as_dict(result.per_query) == pytest.approx(expected, abs=1e-12)
