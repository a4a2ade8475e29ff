"""BM25 by definition: loops over queries, passages and terms, one collection per language."""

import math

from isoglot.lexical import tokenize


def scores_by_definition(collection, k1=0.9, b=0.4):
    """{(query row, passage row): score}, a query read by the rules of the passage's language."""
    scores = {}
    for lang in collection.passage_langs:
        rows = [row for row, passage in enumerate(collection.passages) if passage.lang == lang]
        texts = tokenize([collection.passages[row].text for row in rows], lang)
        for query_row, query in enumerate(collection.queries):
            query_terms = tokenize([query.text], lang)[0]
            for row, terms in zip(rows, texts, strict=True):
                scores[query_row, row] = score(query_terms, terms, texts, k1, b)
    return scores


def score(query_terms, terms, texts, k1, b):
    total = 0.0
    mean_length = sum(len(text) for text in texts) / len(texts)
    for term in query_terms:
        frequency = terms.count(term)
        if frequency:
            having = sum(term in text for text in texts)
            idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            total += idf * frequency / (frequency + k1 * (1 - b + b * len(terms) / mean_length))
    return total
