"""Bias figures by definition, from each query's full ranking of doc ids."""

from statistics import fmean


def bias_by_definition(collection, rankings):
    """``rankings[i]``: doc ids of the pool of all languages for query i, best first."""
    langs = {passage.doc_id: passage.lang for passage in collection.passages}
    distance, floor, normalized, same = {}, {}, {}, {}
    for (query_id, lang, _), ranking in zip(collection.queries, rankings, strict=True):
        relevant = [
            qrel.doc_id
            for qrel in collection.qrels
            if (qrel.query_id, qrel.query_lang) == (query_id, lang) and qrel.relevance > 0
        ]
        relevant_langs = {langs[doc_id] for doc_id in relevant}
        if len(relevant_langs) < 2:
            continue
        ranks = [ranking.index(doc_id) + 1 for doc_id in relevant]
        size, passages = len(relevant), len(ranking)
        gap = max(ranks) - min(ranks)
        distance.setdefault(lang, []).append(gap)
        floor.setdefault(lang, []).append(size - 1)
        room = passages - size
        normalized.setdefault(lang, []).append(100 * (gap - (size - 1)) / room if room else 0)
        if lang in relevant_langs:
            first = ranking[min(ranks) - 1]
            same.setdefault(lang, []).append(float(langs[first] == lang))
    return {
        "rank_distance": macro(distance),
        "rank_distance_by_query_lang": {lang: fmean(v) for lang, v in distance.items()},
        "rank_distance_floor": macro(floor),
        "rank_distance_normalized": macro(normalized),
        "same_language_share": macro(same),
    }


def macro(by_lang):
    return fmean(fmean(values) for values in by_lang.values()) if by_lang else None
