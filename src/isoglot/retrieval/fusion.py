"""Fusion: what passages mean and which words they have, in one score that languages can share.

    similarity + weight * spread * BM25 / (the query's best BM25 in any language)

``spread`` is that of the query's similarities (`Background`), so that both parts are in its unit.
BM25 grows with the number and the rarity of the words that a query has; divided by its best, it
says how much of what could be matched a passage matches. The best is that of all languages: a
language in which the query's words hardly occur must not have a full score for its best passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.retrieval.calibration import Background
from isoglot.retrieval.engine import Candidates

__all__ = ["DEPTH", "WEIGHT", "Fused", "Heads", "fuse", "unite"]

DEPTH = 100
"""Passages to fetch of each ranking at least: what neither has among them is not looked at."""
WEIGHT = 4.0
"""Standard deviations that the best BM25 score of a query is worth; see ``docs/policies.md``."""


@dataclass(frozen=True)
class Heads:
    """The best passages of one language by similarity and by words, each once."""

    candidates: Candidates
    """(queries, found): similarities; minus infinity where there is nothing."""
    words: NDArray[np.float32]
    """(queries, found): BM25, 0 for what its ranking does not hold."""


@dataclass(frozen=True)
class Fused:
    """The best passages of one language by the fused score."""

    candidates: Candidates
    """(queries, found), best first; fused scores."""
    similarities: NDArray[np.float32]
    """(queries, found); minus infinity where there is nothing."""


def unite(dense: Candidates, words: Candidates, similarities: NDArray[np.float32]) -> Heads:
    """Bring two rankings of one language together.

    Args:
        dense: By similarity: (queries, n).
        words: By BM25: (queries, m).
        similarities: (queries, m): of the passages in ``words``, as `Engine.score` gives them.
    """
    columns = _columns_of(words, dense)
    queries, places = np.nonzero(columns >= 0)
    matched = np.zeros(dense.scores.shape, dtype=np.float32)
    matched[queries, columns[queries, places]] = words.scores[queries, places]
    new = np.isfinite(words.scores) & (columns < 0)
    return Heads(
        candidates=Candidates(
            keys=np.concatenate([dense.keys, words.keys], axis=1),
            scores=np.concatenate([dense.scores, np.where(new, similarities, -np.inf)], axis=1),
        ),
        words=np.concatenate([matched, np.where(new, words.scores, 0)], axis=1),
    )


def fuse(
    heads: Sequence[Heads], background: Background, k: int, *, weight: float = WEIGHT
) -> list[Fused]:
    """Rank the passages of each language by the fused score.

    Of equal scores, the passage that the ranking by similarity holds comes first.

    Args:
        heads: By language, of the same queries.
        background: Of all these languages.
        k: Passages per query and language to keep.
        weight: Standard deviations that the best BM25 score of a query is worth.
    """
    best = np.max([head.words.max(axis=1, initial=0) for head in heads], axis=0)
    worth = weight * background.spread / np.where(best > 0, best, 1)
    return [_fuse_language(head, worth, k) for head in heads]


def _fuse_language(heads: Heads, worth: NDArray[np.float64], k: int) -> Fused:
    similarities = heads.candidates.scores
    fused = (similarities + worth[:, None] * heads.words).astype(np.float32)
    order = np.argsort(-fused, axis=1, kind="stable")[:, :k]
    return Fused(
        candidates=Candidates(
            keys=np.take_along_axis(heads.candidates.keys, order, axis=1),
            scores=np.take_along_axis(fused, order, axis=1),
        ),
        similarities=np.take_along_axis(similarities, order, axis=1),
    )


def _columns_of(wanted: Candidates, among: Candidates) -> NDArray[np.intp]:
    """Return where one ranking of a query holds the passages of another: (queries, wanted).

    -1 where it does not, or there is no passage.
    """
    width = among.keys.shape[1]
    keys = np.concatenate([among.keys, wanted.keys], axis=1)
    distinct, codes = np.unique(keys.ravel(), return_inverse=True)
    numbers = codes.reshape(keys.shape) + len(distinct) * np.arange(len(keys))[:, None]
    held = np.where(np.isfinite(among.scores), numbers[:, :width], -1).ravel()
    held = np.append(held, -1)  # so that there is a place to look at
    order = np.argsort(held)
    places = np.minimum(np.searchsorted(held, numbers[:, width:], sorter=order), len(held) - 1)
    same = (held[order[places]] == numbers[:, width:]) & np.isfinite(wanted.scores)
    return np.where(same, order[places] % max(width, 1), -1)
