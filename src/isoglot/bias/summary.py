"""The bias figures of an evaluation, as ``metrics.json`` holds them. No formula is here."""

from __future__ import annotations

from typing import Any

from isoglot.bias.consistency import consistency
from isoglot.bias.friedman import friedman_tests
from isoglot.bias.language_share import language_shares, relevant_shares
from isoglot.bias.lareqa import limit_to_one_target, remove_one_target
from isoglot.bias.max_at_r import complete_at, max_at_r
from isoglot.bias.peer import peer, pooled_kruskal_wallis
from isoglot.bias.preference import language_preference
from isoglot.bias.rank_distance import rank_distances
from isoglot.bias.values import LanguageTable, QueryValues, macro_mean
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["DEPTH", "summarize"]

DEPTH = 10
"""Length of the head of a ranking for the figures about the passages in it."""


def summarize(evaluation: Evaluation) -> dict[str, Any]:
    """Return the bias figures of ``metrics.json``, in plain Python numbers.

    The keys are always the same. Where a figure cannot be computed (one language, relevant passages
    in one language only, no ranking kept, no parallel queries, a run of limited depth) it is
    ``None`` and a mapping by language is empty. ``docs/bias.md`` lists every key.
    """
    ranks = evaluation.ranks
    return {
        **_rank_distance(ranks),
        **_preference(ranks),
        **_max_at_r(ranks),
        **{f"complete_at_{k}": _complete_at(evaluation, k) for k in (10, 100)},
        "language_share": _language_share(evaluation),
        "confusion": _confusion(evaluation),
        "friedman": _friedman(ranks),
        "peer": _peer(ranks),
        "limit_to_one_target": _one_target(limit_to_one_target(ranks)),
        "remove_one_target": _one_target(remove_one_target(ranks)),
        "consistency": _consistency(evaluation),
    }


def _rank_distance(ranks: RelevantRanks) -> dict[str, Any]:
    found = rank_distances(ranks)
    distance = QueryValues(found.query_langs, found.distances)
    return {
        "rank_distance": distance.macro,
        "rank_distance_by_query_lang": distance.by_lang,
        "rank_distance_floor": QueryValues(found.query_langs, found.floors).macro,
        "rank_distance_normalized": QueryValues(found.query_langs, found.normalized).macro,
    }


def _preference(ranks: RelevantRanks) -> dict[str, Any]:
    found = language_preference(ranks)
    rate = QueryValues(found.query_langs, found.own_first)
    return {
        "language_preference_rate": rate.macro,
        "language_preference_rate_by_query_lang": rate.by_lang,
        "language_preference_rate_expected": QueryValues(found.query_langs, found.expected).macro,
    }


def _max_at_r(ranks: RelevantRanks) -> dict[str, Any]:
    found = max_at_r(ranks)
    return {
        "max_at_r": QueryValues(found.query_langs, found.worst).macro,
        "max_at_r_normalized": QueryValues(found.query_langs, found.normalized).macro,
    }


def _complete_at(evaluation: Evaluation, cutoff: int) -> float | None:
    ranks, depth = evaluation.ranks, evaluation.depth
    known = ranks.full_depth or depth is None or depth >= cutoff
    return complete_at(ranks, cutoff).macro if known else None


def _language_share(evaluation: Evaluation) -> dict[str, Any]:
    shares = language_shares(evaluation, DEPTH)
    relevant = relevant_shares(evaluation.ranks)
    relevant_own, _ = relevant.own_and_other
    same = macro_mean(shares.same_language) if shares else None
    expected = macro_mean(shares.same_language_expected) if shares else None
    return {
        "depth": shares.depth if shares else DEPTH,
        "by_query_lang": shares.by_query_lang if shares else {},
        "expected": shares.expected_by_lang if shares else {},
        "same_language": same,
        "same_language_expected": expected,
        "same_language_excess": _difference(same, expected),
        "other_language": _difference(1.0, same),
        "entropy": macro_mean(shares.entropy) if shares else None,
        "relevant_by_query_lang": relevant.by_pair,
        "same_language_relevant": relevant_own.macro,
    }


def _confusion(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    first = language_shares(evaluation, 1)
    return first.by_query_lang if first else {}


def _friedman(ranks: RelevantRanks) -> dict[str, Any]:
    tests = friedman_tests(ranks)
    return {
        "by_query_lang": {
            lang: {
                "statistic": test.statistic,
                "df": test.df,
                "p": test.p,
                "kendall_w": test.kendall_w,
                "queries": test.queries,
                "left_out": test.left_out,
                "mean_ranks": test.mean_ranks_by_lang,
            }
            for lang, test in tests.items()
        },
        "kendall_w": macro_mean({lang: test.kendall_w for lang, test in tests.items()}),
    }


def _peer(ranks: RelevantRanks) -> dict[str, Any]:
    found = peer(ranks)
    all_queries = QueryValues(found.query_langs, found.values)
    telling = found.informative
    informative = QueryValues(found.query_langs[telling], found.values[telling])
    pooled = pooled_kruskal_wallis(ranks)
    return {
        "value": all_queries.macro if telling.any() else None,
        "why": found.why_not,
        "informative_value": informative.macro,
        "queries": len(found.values),
        "informative_queries": int(telling.sum()),
        "pooled": {
            "by_query_lang": {
                lang: {
                    "statistic": test.statistic,
                    "df": test.df,
                    "p": test.p,
                    "epsilon_squared": test.epsilon_squared,
                    "passages": test.passages,
                }
                for lang, test in pooled.items()
            },
            "epsilon_squared": macro_mean(
                {lang: test.epsilon_squared for lang, test in pooled.items()}
            ),
        },
    }


def _one_target(table: LanguageTable) -> dict[str, Any]:
    own, other = table.own_and_other
    return {
        "same_language": own.macro,
        "other_language": other.macro,
        "gap": _difference(own.macro, other.macro),
        "by_query_lang": table.by_pair,
    }


def _consistency(evaluation: Evaluation) -> dict[str, Any]:
    found = consistency(evaluation, DEPTH)
    return {
        "depth": found.depth if found else DEPTH,
        "overlap_at_10": found.mean(found.overlap) if found else None,
        "rank_correlation_at_10": found.mean(found.correlation) if found else None,
        "overlap_at_10_by_query_lang": found.means(found.overlap) if found else {},
        "query_pairs": found.query_pairs if found else 0,
    }


def _difference(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right
