"""Friedman, Kruskal-Wallis and PEER with scipy and loops over queries."""

import math

from scipy import stats

from tests.reference.double_loop_bias import judged_queries, parallel_queries


def friedman(collection, rankings):
    """{query language: (languages, queries, left out, statistic, p)}."""
    tables = {}
    for lang, relevant, _ in parallel_queries(collection, rankings):
        best = {}
        for rank, passage_lang in relevant.values():
            best[passage_lang] = min(rank, best.get(passage_lang, rank))
        tables.setdefault(lang, []).append(best)
    found = {}
    for lang, queries in tables.items():
        langs, cells = largest_table(queries)
        if not cells:
            continue
        blocks = [[best[k] for k in langs] for best in queries if langs <= best.keys()]
        # scipy asks for three treatments; two are a sign test: chi^2 = (wins - losses)^2 / n.
        if len(langs) > 2:
            statistic, p = stats.friedmanchisquare(*zip(*blocks, strict=True))
        else:
            statistic = sum(math.copysign(1, a - b) for a, b in blocks) ** 2 / len(blocks)
            p = stats.chi2.sf(statistic, 1)
        found[lang] = (langs, len(blocks), len(queries) - len(blocks), statistic, p)
    return found


def largest_table(queries):
    """The most numbers, then the most languages, then the first languages."""
    choices = []
    for langs in {frozenset(best) for best in queries}:
        complete = sum(langs <= best.keys() for best in queries)
        cells = complete * len(langs) if complete > 1 else 0
        choices.append((-cells, -len(langs), sorted(langs)))
    cells, _, langs = min(choices)
    return frozenset(langs), -cells


def pooled(collection, rankings):
    """{query language: (statistic, p)} of ``scipy.stats.kruskal``."""
    groups = {}
    for lang, relevant, _ in parallel_queries(collection, rankings):
        for rank, passage_lang in relevant.values():
            groups.setdefault(lang, {}).setdefault(passage_lang, []).append(rank)
    return {
        lang: tuple(stats.kruskal(*by_lang.values()))
        for lang, by_lang in groups.items()
        if len({rank for ranks in by_lang.values() for rank in ranks}) > 1
    }


def peer(collection, rankings):
    """For each judged query: its language, p, and whether any ranking could change p."""
    for lang, relevant, _ in judged_queries(collection, rankings):
        groups = {}
        for rank, passage_lang in relevant.values():
            groups.setdefault(passage_lang, []).append(rank)
        if len(groups) < 2:
            yield lang, 1.0, False
            continue
        ranks = [rank for group in groups.values() for rank in group]
        mean = sum(ranks) / len(ranks)
        between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups.values())
        h = (len(ranks) - 1) * between / sum((rank - mean) ** 2 for rank in ranks)
        yield lang, stats.chi2.sf(h, len(groups) - 1), max(map(len, groups.values())) > 1
