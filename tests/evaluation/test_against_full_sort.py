"""The one pass must equal scoring, sorting and measuring everything by definition."""

import numpy as np
import pytest

from isoglot.data.collection import Collection
from isoglot.evaluation import counts, evaluate, evaluate_scorer
from isoglot.records import Passage, Qrel, Query
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


@pytest.fixture
def small_blocks(monkeypatch):
    """Let a few passages be many blocks, and a few queries many tiles."""
    monkeypatch.setattr(counts, "_BLOCK_PASSAGES", 5)
    monkeypatch.setattr(counts, "_TILE_QUERIES", 2)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_blocks_change_no_value_and_no_ranking(seed, similarity):
    collection, queries, passages = random_case(seed, similarity, passages=60)
    segments = [passages[:7], passages[7:7], passages[7:41], passages[41:]]
    result = evaluate(
        collection, queries, segments, similarity=similarity, measures=MEASURES, run_depth=9
    )
    scores = exact_scores(queries, passages, similarity)
    expected = by_definition(collection, scores)
    assert as_dict(result.per_query) == pytest.approx(expected, abs=1e-12)
    for row in range(len(queries)):
        found = [collection.passages[i].doc_id for i in result.ranking.passages[row]]
        assert found == ranked_doc_ids(collection, scores[row], "*")[:9]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(5))
def test_twins_in_different_blocks_tie_whatever_the_matrix_product_rounds(seed):
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, passages=200)
    different = rng.standard_normal((10, 37), dtype=np.float32)
    twin_of = rng.integers(0, 10, 200)
    queries = rng.standard_normal((len(collection.queries), 37), dtype=np.float32)
    result = evaluate(
        collection, queries, different[twin_of], similarity="dot", measures=MEASURES, run_depth=50
    )
    scores = (queries.astype(np.float64) @ different.T.astype(np.float64))[:, twin_of]
    expected = by_definition(collection, scores)
    assert as_dict(result.per_query) == pytest.approx(expected, abs=1e-12)
    for row in range(len(queries)):
        found = [collection.passages[i].doc_id for i in result.ranking.passages[row]]
        assert found == ranked_doc_ids(collection, scores[row], "*")[:50]


def test_the_budget_bounds_the_scores_held_at_a_time():
    sizes = []

    class Block:
        def scores(self, queries, out):
            sizes.append(out.base.nbytes)
            out[:] = 0

    class Scorer:
        size = 10_000

        def block(self, rows):
            return Block()

        def twins(self):
            return np.zeros(0, dtype=np.intp)

    passages = [Passage(f"d{i}", "en", ".") for i in range(10_000)]
    queries = [Query(f"q{i}", "en", "?") for i in range(300)]
    collection = Collection("large", queries, passages, [Qrel("q0", "en", "d0", 1)])
    evaluate_scorer(collection, Scorer(), similarity="zero", memory_mb=1)
    assert max(sizes) <= 2**20


def test_copies_of_a_vector_tie_whatever_the_matrix_product_rounds():
    rng = np.random.default_rng(1)
    collection = random_collection(rng, passages=203)
    passages = np.tile(rng.standard_normal(37, dtype=np.float32), (203, 1))
    passages[::2] *= 4  # under cosine these are copies as well
    queries = rng.standard_normal((len(collection.queries), 37), dtype=np.float32)
    result = evaluate(collection, queries, passages, measures=MEASURES)
    expected = by_definition(collection, np.zeros((len(queries), 203)))
    assert as_dict(result.per_query) == pytest.approx(expected, abs=1e-12)
