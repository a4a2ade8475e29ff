"""Small collections with every difficulty at once: ties, copies, gaps, grades, negatives."""

import numpy as np

from isoglot.data.collection import Collection
from isoglot.records import Passage, Qrel, Query


def random_collection(rng, langs=("de", "en", "zh"), questions=5, passages=12):
    """Parallel questions, some missing in a language; 1-4 relevant passages, some judged 0."""
    docs = [Passage(f"{rng.integers(100)}-{i}", rng.choice(langs), "x") for i in range(passages)]
    keys = [(str(i), lang) for i in range(questions) for lang in langs if rng.random() < 0.8]
    keys = keys or [("0", langs[0])]
    qrels = []
    for query_id, lang in keys:
        judged = rng.choice(passages, size=rng.integers(0, 5), replace=False)
        qrels += [Qrel(query_id, lang, docs[d].doc_id, int(rng.integers(0, 4))) for d in judged]
    qrels = [*qrels[1:], Qrel(*keys[0], docs[0].doc_id, 1)]
    unique = {(q.query_id, q.query_lang, q.doc_id): q for q in qrels}
    return Collection("random", [Query(*key, "x") for key in keys], docs, list(unique.values()))


def exact_embeddings(rng, count, similarity, dtype=np.float32):
    """Vectors whose scores are exact in any precision, so that ties are ties for everybody.

    For cosine they have four entries of +1 or -1 and so length 2; for dot small whole numbers.
    Few different vectors: many copies and many different vectors with equal scores.
    """
    if similarity == "dot":
        return rng.integers(-2, 3, size=(count, 3)).astype(dtype)
    vectors = np.zeros((count, 6), dtype=dtype)
    for row in vectors:
        row[rng.choice(6, size=4, replace=False)] = rng.choice([-1, 1], size=4)
    return vectors


def exact_scores(queries, passages, similarity):
    """(queries, passages), for vectors from ``exact_embeddings``."""
    products = queries.astype(np.float64) @ passages.astype(np.float64).T
    return products / 4 if similarity == "cosine" else products
