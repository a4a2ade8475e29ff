"""Policies by definition: one query after the other, one place after the other."""

import math
from statistics import fmean, pvariance


def standard_scores(rows, samples):
    """``rows``, ``samples``: by language, the scores of one query."""
    mean = fmean(score for sample in samples for score in sample)
    within = fmean(pvariance(sample) for sample in samples for _ in sample)
    spread = math.sqrt(within) or 1.0
    return [[(score - mean) / spread for score in row] for row in rows]


def take(rows, values, k, allowed):
    """Fill up to ``k`` places; each time the best passage that is next in its language.

    ``values``: by language, what is compared; ``allowed(lang, place)`` says who may come now.
    """
    heads, answer = [0] * len(rows), []
    while len(answer) < k:
        open_langs = [
            lang
            for lang, row in enumerate(rows)
            if heads[lang] < len(row)
            and row[heads[lang]] != -math.inf
            and allowed(lang, heads[lang])
        ]
        if not open_langs:
            break
        best = max(
            open_langs, key=lambda lang: (values[lang][heads[lang]], rows[lang][heads[lang]])
        )
        answer.append((best, heads[best], values[best][heads[best]]))
        heads[best] += 1
    return answer


def by_score(rows, k):
    return take(rows, rows, k, lambda lang, place: True)


def balanced(rows, standard, strength, k):
    values = [[s - strength * place**2 for place, s in enumerate(row)] for row in standard]
    return take(rows, values, k, lambda lang, place: True)


def by_quota(rows, standard, quotas, k, *, shut_out):
    """``quotas``: by language; a language with quota 0 gets nothing if ``shut_out``."""
    places = list(quotas)

    def count(lang):
        return min(places[lang], sum(score != -math.inf for score in rows[lang]))

    limit = min(k, sum(quotas)) if shut_out else k
    if sum(map(count, range(len(rows)))) >= limit:
        answer = take(rows, standard, limit, lambda lang, place: place < places[lang])
    else:
        answer = go_round(rows, standard, places, limit, shut_out, count)
    return sorted(answer, key=lambda entry: (-entry[2], -rows[entry[0]][entry[1]], entry[:2]))


def go_round(rows, standard, places, limit, shut_out, count):
    """Give every language its places; what is left goes round, one place to each language."""
    answer = [
        (lang, place, standard[lang][place])
        for lang in range(len(rows))
        for place in range(count(lang))
    ]
    while len(answer) < limit:
        nexts = []
        for lang, row in enumerate(rows):
            place = places[lang]
            if place < len(row) and row[place] != -math.inf and not (shut_out and not places[lang]):
                nexts.append((standard[lang][place], row[place], -lang, place))
        if not nexts:
            break
        nexts.sort(reverse=True)
        for score, _, negated, place in nexts[: limit - len(answer)]:
            answer.append((-negated, place, score))
        for *_, negated, _ in nexts:
            places[-negated] += 1
    return answer


def fused(heads, spread, weight):
    """``heads``: by language, ({key: similarity}, {key: BM25}) of one query; fused scores by key.

    Every key of BM25 has a similarity; which ranking it came from plays no part.
    """
    best = max((score for _, words in heads for score in words.values()), default=0) or 1
    return [
        {key: s + weight * spread * words.get(key, 0) / best for key, s in dense.items()}
        for dense, words in heads
    ]
