"""The queries that a ranking answers worst, with their texts: for people to read.

The records are the lines of ``examples.jsonl``. No figures are computed here.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np

from isoglot.errors import DataError
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.settings import PoolValues
from isoglot.reporting.writers import shorten

__all__ = ["EXAMPLES", "TEXT_LENGTH", "worst_queries"]

EXAMPLES = "examples.jsonl"
"""Name of the file, in the folder of an evaluation."""

TEXT_LENGTH = 600
"""Characters of a query or passage that are kept."""


def worst_queries(
    evaluation: Evaluation,
    *,
    measure: str | None = None,
    per_language: int = 5,
    shown: int = 5,
) -> list[dict[str, Any]]:
    """Return the worst queries of every query language in the pool of all languages.

    A record holds ``query_lang``, ``query_id``, ``query`` (text), ``measure``, ``value``,
    ``answer`` (``doc_id``, ``lang``, ``text``, ``rank``) and ``above`` (a list of the same with
    ``score`` and ``relevant``). ``answer`` is the lowest-ranked relevant passage in the query's
    language, else the best-ranked relevant one; its rank is ``None`` beyond the depth of a run.
    ``above`` is the head of the ranking. Texts are on one line, cut to 600 characters.

    Args:
        evaluation: With its ranking; without one (run depth 0) there is nothing to show.
        measure: What "worst" is by; default: AP if it was measured, else the first measure.
        per_language: Queries per query language; equal values go by query id.
        shown: Passages of the ranking per query.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If the evaluation does not hold it.
    """
    name = _choose(evaluation, measure)
    number = evaluation.measures.index(name)
    if evaluation.ranking is None:
        return []
    return [
        _record(evaluation, row, name, value, shown)
        for pool in evaluation.pools
        if pool.pool.setting == "multilingual"
        for value, row in _worst(evaluation, pool, number, per_language)
    ]


def _choose(evaluation: Evaluation, measure: str | None) -> str:
    held = evaluation.measures
    if measure is None:
        return "AP" if "AP" in held else held[0]
    name = str(parse_measure(measure))
    if name not in held:
        raise DataError(f"the evaluation does not hold {name}; it holds {', '.join(held)}")
    return name


def _worst(
    evaluation: Evaluation, pool: PoolValues, number: int, count: int
) -> Iterator[tuple[float, int]]:
    """Yield (value, row of the query), worst first."""
    queries = evaluation.collection.queries
    found = zip(pool.values[number].tolist(), pool.queries.tolist(), strict=True)
    yield from heapq.nsmallest(count, found, key=lambda f: (f[0], queries[f[1]].query_id))


def _record(
    evaluation: Evaluation, row: int, measure: str, value: float, shown: int
) -> dict[str, Any]:
    query = evaluation.collection.queries[row]
    return {
        "query_lang": query.lang,
        "query_id": query.query_id,
        "query": shorten(query.text, TEXT_LENGTH),
        "measure": measure,
        "value": value,
        "answer": _answer(evaluation, row),
        "above": list(_head(evaluation, row, shown)),
    }


def _answer(evaluation: Evaluation, row: int) -> dict[str, Any]:
    ranks = evaluation.ranks
    pairs = np.arange(*np.searchsorted(ranks.queries, (row, row + 1)))
    places = np.where(ranks.ranked[pairs], ranks.multilingual_ranks[pairs], np.inf)
    own = ranks.passage_langs[pairs] == ranks.query_langs[row]
    best = int(places.argmin())
    place = int(np.where(own, places, -1).argmax()) if own.any() else best
    rank = int(places[place]) if np.isfinite(places[place]) else None
    return {**_passage(evaluation, int(ranks.passages[pairs[place]])), "rank": rank}


def _head(evaluation: Evaluation, row: int, shown: int) -> Iterator[dict[str, Any]]:
    ranking, ranks = evaluation.ranking, evaluation.ranks
    if ranking is None:
        return
    relevant = set(ranks.passages[ranks.queries == row].tolist())
    passages = ranking.passages[row, :shown].tolist()
    scores = ranking.scores[row, :shown].tolist()
    for rank, (passage, score) in enumerate(zip(passages, scores, strict=True), 1):
        if passage >= 0:  # a run may be shorter than its depth
            yield {
                **_passage(evaluation, passage),
                "rank": rank,
                "score": score,
                "relevant": passage in relevant,
            }


def _passage(evaluation: Evaluation, row: int) -> dict[str, Any]:
    passage = evaluation.collection.passages[row]
    return {
        "doc_id": passage.doc_id,
        "lang": passage.lang,
        "text": shorten(passage.text, TEXT_LENGTH),
    }
