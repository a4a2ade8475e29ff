"""Ranks in the pools of some languages, from the same counts."""

import numpy as np
import pytest

from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import evaluate
from isoglot.evaluation.subsets import evaluate_subset
from tests.reference.random_collections import exact_embeddings, random_collection


@pytest.mark.parametrize("langs", [("en",), ("de", "zh")])
@pytest.mark.parametrize("seed", range(8))
def test_a_subset_gives_what_evaluating_the_smaller_collection_gives(seed, langs):
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, questions=8, passages=40)
    queries = exact_embeddings(rng, len(collection.queries), "dot")
    passages = exact_embeddings(rng, 40, "dot")
    full = evaluate(collection, queries, passages, similarity="dot")
    try:
        small = collection.restrict(langs)
    except DataError as error:  # no judgment is left
        with pytest.raises(DataError, match=str(error)):
            evaluate_subset(full, langs)
        return
    query_rows = [i for i, query in enumerate(collection.queries) if query.lang in langs]
    passage_rows = [i for i, passage in enumerate(collection.passages) if passage.lang in langs]
    expected = evaluate(small, queries[query_rows], passages[passage_rows], similarity="dot")
    subset = evaluate_subset(full, langs)
    assert subset.settings == expected.settings
    assert subset.skipped_by_setting == expected.skipped_by_setting
    assert subset.skipped_queries == expected.skipped_queries
    assert subset.per_query.to_pylist() == expected.per_query.to_pylist()
    assert subset.ranks.pool_sizes == expected.ranks.pool_sizes


def test_a_language_that_is_not_there():
    rng = np.random.default_rng(0)
    collection = random_collection(rng)
    vectors = [exact_embeddings(rng, n, "dot") for n in (len(collection.queries), 12)]
    with pytest.raises(ConfigError, match="no passages in 'sw'; the languages are de, en, zh"):
        evaluate_subset(evaluate(collection, *vectors, similarity="dot"), ["en", "sw"])


def test_the_ranking_loses_the_passages_of_other_languages():
    rng = np.random.default_rng(0)
    collection = random_collection(rng, questions=8, passages=40)
    vectors = [exact_embeddings(rng, n, "dot") for n in (len(collection.queries), 40)]
    full = evaluate(collection, *vectors, similarity="dot", run_depth=15)
    part = evaluate_subset(full, ["de"])
    row = next(i for i, query in enumerate(collection.queries) if query.lang == "de")
    head = [collection.passages[i] for i in full.ranking.passages[row]]
    kept = [passage.doc_id for passage in head if passage.lang == "de"]
    found = part.ranking.passages[0].tolist()
    assert [part.collection.passages[i].doc_id for i in found if i >= 0] == kept
    assert found[len(kept) :] == [-1] * (15 - len(kept))
    assert np.isneginf(part.ranking.scores[0, len(kept) :]).all()
