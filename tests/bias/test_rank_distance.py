import numpy as np
import pytest

from isoglot.bias import summarize
from isoglot.data.collection import Collection
from isoglot.evaluation import evaluate
from isoglot.records import Passage, Qrel, Query
from tests.reference.double_loop_bias import bias_by_definition
from tests.reference.full_sort import ranked_doc_ids
from tests.reference.random_collections import exact_embeddings, exact_scores, random_collection


def two_language_evaluation(scores_de, scores_en):
    """One question in de and en with the answers d1 and e1, among five passages.

    The scores are those of d1, d2, d3, e1, e2: with dot products of unit vectors they are simply
    the entries of the query vectors.
    """
    passages = [Passage(doc_id, "de", ".") for doc_id in ("d1", "d2", "d3")]
    passages += [Passage(doc_id, "en", ".") for doc_id in ("e1", "e2")]
    collection = Collection(
        "two",
        [Query("q", "de", "?"), Query("q", "en", "?")],
        passages,
        [Qrel("q", lang, doc_id, 1) for lang in ("de", "en") for doc_id in ("d1", "e1")],
    )
    queries = np.array([scores_de, scores_en], dtype=np.float32)
    return evaluate(collection, queries, np.eye(5, dtype=np.float32), similarity="dot")


def test_worked_example():
    # German query: d1 d2 d3 e1 e2, answers at ranks 1 and 4, distance 3.
    # English query: e2 e1 d1 d2 d3, answers at ranks 2 and 3, distance 1.
    bias = summarize(two_language_evaluation([9, 8, 7, 6, 5], [7, 6, 5, 8, 9]))
    assert bias["rank_distance_by_query_lang"] == {"de": 3, "en": 1}
    assert bias["rank_distance"] == 2
    # Two answers are at least one rank apart: R - 1 = 1.
    assert bias["rank_distance_floor"] == 1
    # 100 (distance - 1) / (5 - 2): 200/3 for the German query and 0 for the English one.
    assert bias["rank_distance_normalized"] == pytest.approx((200 / 3 + 0) / 2)
    # Both queries find the answer in their own language first.
    assert bias["same_language_share"] == 1


def test_half_of_the_queries_find_the_other_language_first():
    # German query: e1 before d1. English query: e1 before d1.
    bias = summarize(two_language_evaluation([1, 2, 3, 9, 8], [1, 2, 3, 9, 8]))
    assert bias["same_language_share"] == 0.5
    # Ranks 1 and 5 of 5: the distance is as large as it can be.
    assert bias["rank_distance_normalized"] == 100


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, passages=15)
    queries = exact_embeddings(rng, len(collection.queries), "dot")
    passages = exact_embeddings(rng, 15, "dot")
    scores = exact_scores(queries, passages, "dot")
    rankings = [ranked_doc_ids(collection, row, "*") for row in scores]
    found = summarize(evaluate(collection, queries, passages, similarity="dot"))
    expected = bias_by_definition(collection, rankings)
    by_lang = expected.pop("rank_distance_by_query_lang")
    assert found.pop("rank_distance_by_query_lang") == pytest.approx(by_lang)
    assert found == pytest.approx(expected)


def test_nothing_to_say_about_one_language():
    rng = np.random.default_rng(0)
    collection = random_collection(rng, langs=("en",))
    queries = exact_embeddings(rng, len(collection.queries), "dot")
    bias = summarize(evaluate(collection, queries, exact_embeddings(rng, 12, "dot")))
    assert bias == {
        "rank_distance": None,
        "rank_distance_by_query_lang": {},
        "rank_distance_floor": None,
        "rank_distance_normalized": None,
        "same_language_share": None,
    }


def test_a_pool_of_relevant_passages_only_is_at_its_floor():
    collection = Collection(
        "all relevant",
        [Query("q", "de", "?")],
        [Passage("d", "de", "."), Passage("e", "en", ".")],
        [Qrel("q", "de", "d", 1), Qrel("q", "de", "e", 1)],
    )
    bias = summarize(evaluate(collection, np.ones((1, 2)), np.ones((2, 2))))
    assert bias["rank_distance"] == bias["rank_distance_floor"] == 1
    assert bias["rank_distance_normalized"] == 0
