"""Retrieval by definition: score everything, sort it, look at each pool."""

from isoglot.languages import ALL_LANGUAGES


def pool_langs(collection, query_lang):
    """(setting, passage_lang) of every pool that a query language retrieves from."""
    for lang in collection.passage_langs:
        yield ("monolingual" if lang == query_lang else "cross-lingual"), lang
    yield "multilingual", ALL_LANGUAGES


def ranked_doc_ids(collection, scores, passage_lang):
    """Doc ids of one pool, best first: score, then doc id, both descending (trec_eval)."""
    pool = [
        (score, passage.doc_id)
        for score, passage in zip(scores, collection.passages, strict=True)
        if passage_lang in (passage.lang, ALL_LANGUAGES)
    ]
    return [doc_id for _, doc_id in sorted(pool, reverse=True)]


def ranked_gains(collection, scores):
    """For each query and pool that holds a relevant passage: the gains from rank 1 down."""
    found = {}
    for row, (query_id, query_lang, _) in enumerate(collection.queries):
        gains = {
            qrel.doc_id: qrel.relevance
            for qrel in collection.qrels
            if (qrel.query_id, qrel.query_lang) == (query_id, query_lang)
        }
        for setting, lang in pool_langs(collection, query_lang):
            ranking = [gains.get(d, 0) for d in ranked_doc_ids(collection, scores[row], lang)]
            if any(gain > 0 for gain in ranking):
                found[setting, query_lang, lang, query_id] = ranking
    return found
