"""Language shares and consistency by definition, from the first passages of every ranking."""

from collections import Counter
from itertools import combinations

import numpy as np


def language_shares(collection, rankings, depth):
    """{query language: {passage language: share}}, languages that do not occur left out."""
    langs = {passage.doc_id: passage.lang for passage in collection.passages}
    counts = {}
    for query, ranking in zip(collection.queries, rankings, strict=True):
        counts.setdefault(query.lang, Counter()).update(langs[d] for d in ranking[:depth])
    return {
        lang: {passage_lang: n / count.total() for passage_lang, n in count.items()}
        for lang, count in counts.items()
        if count
    }


def consistency(collection, rankings, depth):
    """{(language, language): [(overlap, correlation)]} of parallel queries, languages sorted."""
    relevant = {}
    for qrel in collection.qrels:
        if qrel.relevance > 0:
            relevant.setdefault((qrel.query_id, qrel.query_lang), set()).add(qrel.doc_id)
    doc_ids = [passage.doc_id for passage in collection.passages]
    found = {}
    pairs = combinations(zip(collection.queries, rankings, strict=True), 2)
    for (left, left_ranking), (right, right_ranking) in pairs:
        keys = [(query.query_id, query.lang) for query in (left, right)]
        same = left.query_id == right.query_id
        if not same or not relevant.get(keys[0], set()) & relevant.get(keys[1], set()):
            continue
        lists = (left_ranking[:depth], right_ranking[:depth])
        overlap = len(set(lists[0]) & set(lists[1])) / max(map(len, lists))
        vectors = [[rank_in(ranked, doc_id, depth) for doc_id in doc_ids] for ranked in lists]
        values = (overlap, np.corrcoef(vectors)[0, 1])
        found.setdefault(tuple(sorted((left.lang, right.lang))), []).append(values)
    return found


def rank_in(ranked, doc_id, depth):
    return ranked.index(doc_id) + 1 if doc_id in ranked else depth + 1
