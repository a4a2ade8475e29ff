"""Bias figures by definition, from each query's full ranking of doc ids."""

import math
from statistics import fmean


def judged_queries(collection, rankings):
    """For each query with relevant passages: its language and their {doc_id: (rank, language)}.

    ``rankings[i]``: doc ids of the pool of all languages for query i, best first.
    """
    langs = {passage.doc_id: passage.lang for passage in collection.passages}
    for (query_id, lang, _), ranking in zip(collection.queries, rankings, strict=True):
        relevant = {
            qrel.doc_id: (ranking.index(qrel.doc_id) + 1, langs[qrel.doc_id])
            for qrel in collection.qrels
            if (qrel.query_id, qrel.query_lang) == (query_id, lang) and qrel.relevance > 0
        }
        if relevant:
            yield lang, relevant, ranking


def parallel_queries(collection, rankings):
    """Those of them with relevant passages in two languages or more."""
    for lang, relevant, ranking in judged_queries(collection, rankings):
        if len({passage_lang for _, passage_lang in relevant.values()}) > 1:
            yield lang, relevant, ranking


def bias_by_definition(collection, rankings):
    """The figures that are one number for each query."""
    found = {}

    def note(figure, lang, value):
        found.setdefault(figure, {}).setdefault(lang, []).append(value)

    for lang, relevant, ranking in parallel_queries(collection, rankings):
        ranks = [rank for rank, _ in relevant.values()]
        size, passages = len(relevant), len(ranking)
        gap = max(ranks) - min(ranks)
        room = passages - size
        note("rank_distance", lang, gap)
        note("rank_distance_floor", lang, size - 1)
        note("rank_distance_normalized", lang, 100 * (gap - (size - 1)) / room if room else 0)
        note("max_at_r", lang, max(ranks))
        depth = math.log2(passages / max(ranks)) / math.log2(passages / size) if room else 1
        note("max_at_r_normalized", lang, 100 * depth)
        note("complete_at_10", lang, float(set(relevant) <= set(ranking[:10])))
        note("complete_at_100", lang, float(set(relevant) <= set(ranking[:100])))
        own = [rank for rank, passage_lang in relevant.values() if passage_lang == lang]
        if own:
            note("language_preference_rate", lang, float(min(own) == min(ranks)))
            note("language_preference_rate_expected", lang, len(own) / size)
    return found


def means(by_lang):
    return {lang: fmean(values) for lang, values in sorted(by_lang.items())}


def macro(by_lang):
    return fmean(means(by_lang).values()) if by_lang else None
