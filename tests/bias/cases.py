"""Evaluations with known rankings: the worked example of docs/bias.md, and random ones."""

import numpy as np

from isoglot.data.collection import Collection
from isoglot.evaluation import evaluate
from isoglot.records import Passage, Qrel, Query
from tests.reference.full_sort import ranked_doc_ids
from tests.reference.random_collections import exact_embeddings, exact_scores, random_collection


def evaluate_rankings(queries, qrels, rankings, **options):
    """Evaluate rankings written as text, ``"d1 e1 d2"``: best first, the language by its letter.

    ``queries`` are (query_id, language), ``qrels`` (query_id, language, doc_id).
    """
    langs = {"d": "de", "e": "en", "z": "zh"}
    doc_ids = sorted(rankings[0].split())
    collection = Collection(
        "worked",
        [Query(*query, "?") for query in queries],
        [Passage(doc_id, langs[doc_id[0]], ".") for doc_id in doc_ids],
        [Qrel(*qrel, 1) for qrel in qrels],
    )
    # With one direction for each passage, the entries of a query's vector are its scores.
    scores = [[-ranking.split().index(doc_id) for doc_id in doc_ids] for ranking in rankings]
    passages = np.eye(len(doc_ids), dtype=np.float32)
    return evaluate(
        collection, np.array(scores, dtype=np.float32), passages, similarity="dot", **options
    )


def worked_example(**options):
    """Two questions in two languages, six passages: d1 and e1 answer the first, d2 and e2 the
    second."""
    queries = [("1", "de"), ("2", "de"), ("1", "en"), ("2", "en")]
    answers = {"1": ("d1", "e1"), "2": ("d2", "e2")}
    qrels = [(*query, doc_id) for query in queries for doc_id in answers[query[0]]]
    rankings = [
        "d1 d3 e1 d2 e2 e3",  # d1 1, e1 3
        "d2 d1 d3 e2 e3 e1",  # d2 1, e2 4
        "e1 d1 e2 e3 d2 d3",  # e1 1, d1 2
        "d2 e2 e1 e3 d1 d3",  # d2 1, e2 2
    ]
    return evaluate_rankings(queries, qrels, rankings, **options)


def random_case(seed, **sizes):
    """A random evaluation, and its rankings of doc ids by a full sort."""
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, **sizes)
    queries = exact_embeddings(rng, len(collection.queries), "dot")
    passages = exact_embeddings(rng, len(collection.passages), "dot")
    scores = exact_scores(queries, passages, "dot")
    rankings = [ranked_doc_ids(collection, row, "*") for row in scores]
    return evaluate(collection, queries, passages, similarity="dot"), rankings
