"""Policies: rankings of several languages become one answer, and each language gets its places.

A policy never changes the order of the passages of one language. It decides which language is next.
Formulas, and what each policy costs and gives, are in ``docs/policies.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.config.search import SearchConfig
from isoglot.errors import ConfigError, did_you_mean
from isoglot.retrieval.calibration import Background

__all__ = ["Merged", "Pool", "balance", "merge"]


@dataclass(frozen=True)
class Pool:
    """Candidates of one passage language for some queries."""

    lang: str
    scores: NDArray[np.float32]
    """(queries, found), best first; minus infinity behind the last."""


@dataclass(frozen=True)
class Merged:
    """The answers to some queries, best first."""

    pools: NDArray[np.intp]
    """(queries, k): number of the pool; -1 behind the last."""
    places: NDArray[np.intp]
    """(queries, k): column of the pool's scores; -1 behind the last."""
    scores: NDArray[np.float64]
    """(queries, k): what the policy ranked by; minus infinity behind the last."""


@dataclass(frozen=True)
class _Candidates:
    """The candidates of all pools side by side, pool after pool."""

    scores: NDArray[np.float32]
    """(queries, candidates)."""
    pools: NDArray[np.intp]
    """(candidates,): number of the pool."""
    places: NDArray[np.intp]
    """(candidates,): place within the pool, 0 for its best."""


def merge(pools: Sequence[Pool], background: Background, config: SearchConfig) -> Merged:
    """Merge the rankings of several languages by the policy of the configuration.

    Of equal scores the higher similarity comes first, then the earlier pool, then the better place.

    Args:
        pools: One or more, of the same queries; each with its ``config.k`` best passages, or all.
        background: How these queries score against passages in general.
        config: Policy, length of the answers, and the policy's options.

    Raises:
        ConfigError: If a language has a quota and no pool.
    """
    candidates = _line_up(pools)
    if config.policy == "score":
        return _take_best(candidates, candidates.scores.astype(np.float64), config.k)
    standard = background.standardize(candidates.scores)
    if config.policy == "balanced":
        ranked_by = balance(standard, candidates.places, config.balance)
    else:
        ranked_by = _within_quota(candidates, standard, config, [pool.lang for pool in pools])
    return _take_best(candidates, ranked_by, config.k)


def balance(
    standard: NDArray[np.float64], places: NDArray[np.intp], strength: float
) -> NDArray[np.float64]:
    """Return ``score - strength * place^2``, what the policy ``balanced`` ranks by.

    The first passage of a language pays nothing, and each further one more than the one before:
    the head of a ranking goes by similarity, and the longer it gets, the more evenly languages
    share it. Ours; the idea of seats that become dearer with every seat is that of the divisor
    methods of elections, as PM-2 (Dang and Croft, SIGIR 2012) uses it for topics.

    Args:
        standard: (queries, candidates): standardized scores.
        places: (candidates,) or (queries, candidates): place of the passage in its language, from
            0.
        strength: In standard deviations.
    """
    balanced: NDArray[np.float64] = standard - strength * places.astype(np.float64) ** 2
    return balanced


def _line_up(pools: Sequence[Pool]) -> _Candidates:
    found = [pool.scores.shape[1] for pool in pools]
    return _Candidates(
        scores=np.concatenate([pool.scores for pool in pools], axis=1),
        pools=np.repeat(np.arange(len(pools)), found),
        places=np.concatenate([np.arange(count) for count in found]),
    )


def _take_best(candidates: _Candidates, ranked_by: NDArray[np.float64], k: int) -> Merged:
    """Return the ``k`` candidates of every query that rank highest; fewer are filled up."""
    order = _order(candidates, ranked_by)[:, :k]
    scores = np.take_along_axis(ranked_by, order, axis=1)
    missing = scores == -np.inf
    merged = Merged(
        pools=np.where(missing, -1, candidates.pools[order]),
        places=np.where(missing, -1, candidates.places[order]),
        scores=scores,
    )
    return _fill_up(merged, k)


def _order(candidates: _Candidates, *keys: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order candidates by keys, the first one first, each highest first; then as documented."""
    similarity = candidates.scores.astype(np.float64)
    # A stable sort leaves what is equal in the order of pools and places.
    return np.lexsort([-key for key in (similarity, *reversed(keys))], axis=1)


def _fill_up(merged: Merged, k: int) -> Merged:
    room = ((0, 0), (0, k - merged.pools.shape[1]))
    return Merged(
        pools=np.pad(merged.pools, room, constant_values=-1),
        places=np.pad(merged.places, room, constant_values=-1),
        scores=np.pad(merged.scores, room, constant_values=-np.inf),
    )


def _within_quota(
    candidates: _Candidates,
    standard: NDArray[np.float64],
    config: SearchConfig,
    langs: Sequence[str],
) -> NDArray[np.float64]:
    """Return the scores of those that get a place; of all others minus infinity.

    Places that a language leaves free, and those that equal shares do not give out, go round: one
    to each language, the best candidates first, as long as there are places.
    """
    quotas = _quotas(langs, config)
    limit = config.k if config.quota is None else min(config.k, int(quotas.sum()))
    quota = quotas[candidates.pools]
    rounds = np.maximum(candidates.places - quota + 1, 0)
    shut_out = (quota == 0) & (config.quota is not None) | np.isneginf(standard)
    last = np.where(shut_out, -np.inf, -rounds.astype(np.float64))
    chosen = _order(candidates, last, standard)[:, :limit]
    ranked_by = np.full(standard.shape, -np.inf)
    np.put_along_axis(ranked_by, chosen, np.take_along_axis(standard, chosen, axis=1), axis=1)
    return np.where(shut_out, -np.inf, ranked_by)


def _quotas(langs: Sequence[str], config: SearchConfig) -> NDArray[np.int64]:
    """Return how many places each language has: (languages,).

    Raises:
        ConfigError: If a language has a quota and is not searched.
    """
    if not isinstance(config.quota, dict):
        share = config.k // len(langs) if config.quota is None else config.quota
        return np.full(len(langs), share)
    for lang in config.quota:
        if lang not in langs:
            raise ConfigError(
                f"quota: {lang!r} is not searched{did_you_mean(lang, langs)}; the languages are "
                f"{', '.join(langs)}"
            )
    return np.array([config.quota.get(lang, 0) for lang in langs])
