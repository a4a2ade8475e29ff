"""LAReQA's analyses by definition: take passages out of the ranking, measure what is left."""

from statistics import fmean

from tests.reference.double_loop_bias import judged_queries, parallel_queries
from tests.reference.slow_measures import measure


def precision(ranking, wanted):
    return measure("AP", [float(doc_id in wanted) for doc_id in ranking])


def limited_to_one_target(collection, rankings):
    """For each parallel query: its language and {passage language: AP}."""
    for lang, relevant, ranking in parallel_queries(collection, rankings):
        values = {}
        for passage_lang, targets in targets_by_lang(relevant).items():
            others = set(relevant) - targets
            pool = [doc_id for doc_id in ranking if doc_id not in others]
            values[passage_lang] = precision(pool, targets)
        yield lang, values


def one_target_removed(collection, rankings):
    """For each parallel query: its language and {passage language: mean loss of AP}."""
    for lang, relevant, ranking in parallel_queries(collection, rankings):
        whole = precision(ranking, relevant)
        values = {}
        for passage_lang, targets in targets_by_lang(relevant).items():
            losses = []
            for target in targets:
                pool = [doc_id for doc_id in ranking if doc_id != target]
                losses.append(whole - precision(pool, set(relevant) - {target}))
            values[passage_lang] = fmean(losses)
        yield lang, values


def language_pair_precision(collection, rankings):
    """For each judged query: its language and {passage language: AP}."""
    for lang, relevant, ranking in judged_queries(collection, rankings):
        yield lang, {k: precision(ranking, v) for k, v in targets_by_lang(relevant).items()}


def targets_by_lang(relevant):
    found = {}
    for doc_id, (_, lang) in relevant.items():
        found.setdefault(lang, set()).add(doc_id)
    return found


def by_pair(queries):
    """{query language: {passage language: mean}}."""
    found = {}
    for lang, values in queries:
        for passage_lang, value in values.items():
            found.setdefault(lang, {}).setdefault(passage_lang, []).append(value)
    return {lang: {k: fmean(v) for k, v in row.items()} for lang, row in found.items()}


def own_and_other(queries):
    """{query language: mean} in the query's language, and over others; queries with both."""
    own, other = {}, {}
    for lang, values in queries:
        others = [value for passage_lang, value in values.items() if passage_lang != lang]
        if lang in values and others:
            own.setdefault(lang, []).append(values[lang])
            other.setdefault(lang, []).append(fmean(others))
    return own, other
