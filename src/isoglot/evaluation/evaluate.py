"""From embeddings, scores or a run to every figure of every setting: the entry points.

Encoding is done elsewhere, files are written by ``outputs``, bias figures come from
``isoglot.bias``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.errors import DataError
from isoglot.evaluation.counts import DEFAULT_MEMORY_MB, count_higher
from isoglot.evaluation.measures import DEFAULT_MEASURES, Measure, parse_measures
from isoglot.evaluation.passages import PassageTable, passage_table, relevant_passages
from isoglot.evaluation.ranking import Ranking
from isoglot.evaluation.runs import count_in_ranking
from isoglot.evaluation.scoring import Scorer, VectorScorer
from isoglot.evaluation.settings import (
    SETTINGS,
    PoolValues,
    RelevantRanks,
    check_settings,
    list_pools,
    measure_pool,
    relevant_ranks,
)

__all__ = [
    "DEFAULT_RUN_DEPTH",
    "Evaluation",
    "SettingRow",
    "assemble",
    "evaluate",
    "evaluate_ranking",
    "evaluate_scorer",
]

DEFAULT_RUN_DEPTH = 100
"""Passages kept per query in the runs: enough for R@100; XQuAD-R then takes 1.3 million lines."""


class SettingRow(NamedTuple):
    """The mean of one measure in one pool."""

    setting: str
    query_lang: str
    passage_lang: str
    measure: str
    value: float
    queries: int
    """Queries measured: those with a relevant passage in the pool."""


@dataclass(frozen=True)
class Evaluation:
    """The values of every query in every pool, and the tables that follow from them."""

    collection: Collection
    similarity: str | None
    """What the scores are: ``cosine``, ``dot``, ``bm25``; None where a run does not say it."""
    measures: tuple[str, ...]
    ranks: RelevantRanks
    pools: tuple[PoolValues, ...]
    """Pools with at least one measured query."""
    skipped_by_setting: Mapping[str, int]
    """(query, pool) pairs left out because the pool holds no relevant passage."""
    ranking: Ranking | None
    """The head of the ranking of all passages, for runs."""
    depth: int | None = None
    """Passages per query that could be seen; None for the whole pool."""

    def keep_ranking(self, depth: int) -> Evaluation:
        """Return the evaluation with at most so many passages per query to be written as a run."""
        kept = self.ranking.head(depth) if self.ranking is not None and depth else None
        return replace(self, ranking=kept)

    @cached_property
    def table(self) -> PassageTable:
        """Languages and ids of the passages."""
        return passage_table(self.collection.passages)

    @property
    def skipped_queries(self) -> int:
        """Queries without a relevant passage in any language, whatever the settings asked for."""
        return len(self.collection.queries) - len(np.unique(self.ranks.queries))

    @cached_property
    def settings(self) -> tuple[SettingRow, ...]:
        """The mean of every measure in every pool."""
        return tuple(
            SettingRow(*pool.pool, measure, float(values.mean()), len(pool.queries))
            for pool in self.pools
            for measure, values in zip(self.measures, pool.values, strict=True)
        )

    @cached_property
    def summary(self) -> dict[str, dict[str, float]]:
        """By setting, the mean of every measure over the setting's pools, each weighing the same.

        That is over languages, ordered pairs or query languages. Empty for a setting that was not
        asked for or that the collection does not have.
        """
        values: dict[tuple[str, str], list[float]] = defaultdict(list)
        for row in self.settings:
            values[row.setting, row.measure].append(row.value)
        summary: dict[str, dict[str, float]] = {setting: {} for setting in SETTINGS}
        for (setting, measure), pool_values in values.items():
            summary[setting][measure] = float(np.mean(pool_values))
        return summary

    @cached_property
    def per_query(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Every value as a ``pyarrow.Table``.

        Columns ``query_id``, ``query_lang``, ``setting``, ``passage_lang``, ``measure`` (strings,
        dictionary-encoded) and ``value`` (float64).
        """
        import pyarrow as pa

        measured = [len(pool.queries) for pool in self.pools]
        query_rows = np.concatenate([np.tile(p.queries, len(self.measures)) for p in self.pools])
        measures = np.concatenate([np.repeat(np.arange(len(self.measures)), n) for n in measured])
        pools = np.repeat(np.arange(len(self.pools)), np.array(measured) * len(self.measures))
        columns = {
            "query_id": _words([query.query_id for query in self.collection.queries], query_rows),
            "query_lang": _words([pool.pool.query_lang for pool in self.pools], pools),
            "setting": _words([pool.pool.setting for pool in self.pools], pools),
            "passage_lang": _words([pool.pool.passage_lang for pool in self.pools], pools),
            "measure": _words(self.measures, measures),
            "value": pa.array(np.concatenate([pool.values.ravel() for pool in self.pools])),
        }
        return pa.table(columns)

    @cached_property
    def ranks_table(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """The rank of every relevant passage as a ``pyarrow.Table``.

        Columns ``query_id``, ``query_lang``, ``doc_id``, ``passage_lang``, ``relevance``, ``rank``
        (among all passages), ``rank_in_language`` (among those of its language), and
        ``above_LANG`` (passages of a language that rank above), from which the ranks in any other
        pool follow. Null where a run of limited depth does not hold the passage.
        """
        import pyarrow as pa

        ranks, unknown = self.ranks, ~self.ranks.ranked
        queries = self.collection.queries
        query_ids = [query.query_id for query in queries]
        columns = {
            "query_id": _words(query_ids, ranks.queries),
            "query_lang": _words([query.lang for query in queries], ranks.queries),
            "doc_id": pa.array(self.table.ids_of(ranks.passages)),
            "passage_lang": _words(list(ranks.pool_sizes), ranks.passage_lang_numbers),
            "relevance": pa.array(ranks.gains.astype(np.int32)),
            "rank": pa.array(ranks.multilingual_ranks, mask=unknown),
            "rank_in_language": pa.array(ranks.own_language_ranks, mask=unknown),
        }
        for number, lang in enumerate(ranks.pool_sizes):
            columns[f"above_{lang}"] = pa.array(ranks.higher[:, number], mask=unknown)
        return pa.table(columns)


def evaluate(
    collection: Collection,
    query_embeddings: NDArray[Any],
    passage_embeddings: NDArray[Any] | Sequence[NDArray[Any]],
    *,
    similarity: str = "cosine",
    measures: Iterable[str] = DEFAULT_MEASURES,
    settings: Iterable[str] = SETTINGS,
    run_depth: int = DEFAULT_RUN_DEPTH,
    memory_mb: int = DEFAULT_MEMORY_MB,
) -> Evaluation:
    """Measure an encoder in all three settings from one pass over the scores.

    Args:
        collection: Queries, passages and judgments.
        query_embeddings: (queries, dim), floating point, in the order of ``collection.queries``.
        passage_embeddings: (passages, dim), in the order of ``collection.passages``; or several
            arrays that make it together, memory-mapped ones too: they are read block by block.
        similarity: ``"cosine"`` or ``"dot"``.
        measures: Names as ir_measures writes them; full depth, whatever ``run_depth`` is.
        settings: Which of the three.
        run_depth: Passages to keep per query for TREC runs; 0 keeps none.
        memory_mb: Budget for scores, in MiB.

    Raises:
        ConfigError: If an option has a value that is not allowed.
        DataError: If embeddings do not fit the collection, hold values that cannot be scored, or no
            query has a relevant passage in any pool of the settings.
    """
    # Wrong names are told before hours of scoring.
    names = [str(measure) for measure in parse_measures(measures)]
    check_settings(settings)
    table = passage_table(collection.passages)
    scorer = VectorScorer(
        query_embeddings,
        passage_embeddings,
        query_names=[f"{query.query_id} ({query.lang})" for query in collection.queries],
        doc_ids=table.doc_ids,
        similarity=similarity,
    )
    return evaluate_scorer(
        collection,
        scorer,
        similarity=similarity,
        measures=names,
        settings=settings,
        run_depth=run_depth,
        memory_mb=memory_mb,
        table=table,
    )


def evaluate_scorer(
    collection: Collection,
    scorer: Scorer,
    *,
    similarity: str,
    measures: Iterable[str] = DEFAULT_MEASURES,
    settings: Iterable[str] = SETTINGS,
    run_depth: int = DEFAULT_RUN_DEPTH,
    memory_mb: int = DEFAULT_MEMORY_MB,
    table: PassageTable | None = None,
) -> Evaluation:
    """Measure any system that scores every query against every passage; see `evaluate`.

    Args:
        collection: Queries, passages and judgments.
        scorer: Scores them, in the order of the collection.
        similarity: What the scores are, for the record.
        measures: As for `evaluate`.
        settings: As for `evaluate`.
        run_depth: As for `evaluate`.
        memory_mb: As for `evaluate`.
        table: Of the collection's passages, if it is at hand.

    Raises:
        ConfigError: If an option has a value that is not allowed.
        DataError: As for `evaluate`.
    """
    wanted = parse_measures(measures)
    setting_names = check_settings(settings)
    table = table or passage_table(collection.passages)
    relevant = relevant_passages(collection)
    counts = count_higher(scorer, relevant, table, depth=run_depth, memory_mb=memory_mb)
    query_langs = [query.lang for query in collection.queries]
    ranks = relevant_ranks(query_langs, relevant, table, counts.higher)
    return assemble(collection, ranks, wanted, setting_names, counts.ranking, similarity)


def evaluate_ranking(
    collection: Collection,
    ranking: Ranking,
    *,
    measures: Iterable[str] = DEFAULT_MEASURES,
    settings: Iterable[str] = SETTINGS,
) -> Evaluation:
    """Measure a ranking of limited depth, such as a TREC run over the pool of all languages.

    The rankings of smaller pools are what is left of it without the passages of other languages.
    A relevant passage that the ranking does not hold counts as not found, as in trec_eval: values
    of measures that look deeper than the ranking are lower bounds.

    Args:
        collection: Queries, passages and judgments.
        ranking: Best first; score, then doc id, both descending.
        measures: Names as ir_measures writes them.
        settings: Which of the three.

    Raises:
        ConfigError: If an option has a value that is not allowed.
        DataError: If no query has a relevant passage in any pool of the settings.
    """
    wanted = parse_measures(measures)
    setting_names = check_settings(settings)
    table = passage_table(collection.passages)
    relevant = relevant_passages(collection)
    higher, ranked = count_in_ranking(ranking, relevant, table)
    query_langs = [query.lang for query in collection.queries]
    ranks = relevant_ranks(query_langs, relevant, table, higher, ranked)
    evaluation = assemble(collection, ranks, wanted, setting_names, ranking, similarity=None)
    return replace(evaluation, depth=ranking.depth)


def assemble(
    collection: Collection,
    ranks: RelevantRanks,
    measures: Sequence[Measure],
    settings: Sequence[str],
    ranking: Ranking | None,
    similarity: str | None,
) -> Evaluation:
    """Measure every pool from the ranks of the relevant passages.

    Raises:
        DataError: If no query has a relevant passage in any pool of the settings.
    """
    pools = [measure_pool(ranks, pool, measures) for pool in list_pools(ranks, settings)]
    measured = tuple(pool for pool in pools if pool.queries.size)
    if not measured:
        raise DataError(
            f"{collection.name}: no query has a relevant passage in any pool of "
            f"{', '.join(settings)}; choose other settings"
        )
    return Evaluation(
        collection=collection,
        similarity=similarity,
        measures=tuple(map(str, measures)),
        ranks=ranks,
        pools=measured,
        skipped_by_setting=_count_skipped(ranks, pools, settings),
        ranking=ranking,
    )


def _count_skipped(
    ranks: RelevantRanks, pools: Iterable[PoolValues], settings: Iterable[str]
) -> dict[str, int]:
    queries_by_lang = Counter(ranks.query_langs)
    skipped = dict.fromkeys(settings, 0)
    for pool in pools:
        skipped[pool.pool.setting] += queries_by_lang[pool.pool.query_lang] - len(pool.queries)
    return skipped


def _words(words: Sequence[str], numbers: NDArray[np.int64]) -> Any:  # noqa: ANN401
    """Return ``words[numbers]`` as a dictionary-encoded ``pyarrow`` array."""
    import pyarrow as pa

    unique, codes = np.unique(words, return_inverse=True)
    indices = pa.array(codes[numbers].astype(np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(unique.tolist(), pa.string()))
