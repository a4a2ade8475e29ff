"""The evaluation of a collection with some languages only, from the counts of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from isoglot.evaluation.evaluate import Evaluation, assemble
from isoglot.evaluation.measures import parse_measures
from isoglot.evaluation.ranking import NO_PASSAGE, Ranking

__all__ = ["evaluate_subset"]


def evaluate_subset(evaluation: Evaluation, langs: Iterable[str]) -> Evaluation:
    """Return what evaluating the queries and passages of some languages would give.

    Exact and without a look at scores: the ranks in smaller pools follow from the same counts. Only
    the head of the ranking gets shorter, by the passages of other languages in it.

    Args:
        evaluation: Of more languages.
        langs: Languages to keep; two or more for figures across languages.

    Raises:
        ConfigError: If there are no passages in a language.
        DataError: If no query of these languages has a relevant passage in them.
    """
    wanted = set(langs)
    ranks = evaluation.ranks.restrict(wanted)
    collection = evaluation.collection.restrict(wanted)
    queries = np.array([query.lang in wanted for query in evaluation.collection.queries])
    query_rows = _renumber(queries)
    table = evaluation.table
    kept = np.isin(table.lang_numbers, [table.langs.index(lang) for lang in wanted])
    passage_rows = _renumber(kept)
    ranks = replace(
        ranks,
        query_langs=tuple(query.lang for query in collection.queries),
        queries=query_rows[ranks.queries],
        passages=passage_rows[ranks.passages],
    )
    ranking = evaluation.ranking
    if ranking is not None:
        ranking = _restrict_ranking(ranking, queries, passage_rows)
    part = assemble(
        collection,
        ranks,
        parse_measures(evaluation.measures),
        list(evaluation.skipped_by_setting),
        ranking,
        evaluation.similarity,
    )
    return replace(part, depth=evaluation.depth)


def _renumber(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the new number of every kept row, -1 for the others."""
    return np.where(kept, np.cumsum(kept) - 1, NO_PASSAGE)


def _restrict_ranking(
    ranking: Ranking, queries: NDArray[np.bool_], passage_rows: NDArray[np.int64]
) -> Ranking:
    # Rows of passages that are left out, and what stands behind a short list, become NO_PASSAGE.
    passages = np.append(passage_rows, NO_PASSAGE)[ranking.passages[queries]]
    kept_first = np.argsort(passages == NO_PASSAGE, axis=1, kind="stable")
    passages = np.take_along_axis(passages, kept_first, axis=1).astype(np.int32)
    scores = np.take_along_axis(ranking.scores[queries], kept_first, axis=1)
    return Ranking(passages, np.where(passages == NO_PASSAGE, np.float32(-np.inf), scores))
