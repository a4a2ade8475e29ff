"""From embeddings to every figure of every setting: the entry point of the evaluation.

Encoding is done elsewhere, files are written by ``outputs``, bias figures come from
``isoglot.bias``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.errors import DataError
from isoglot.evaluation.counts import Ranking, count_higher, order_passages, relevant_passages
from isoglot.evaluation.measures import DEFAULT_MEASURES, parse_measures
from isoglot.evaluation.settings import (
    SETTINGS,
    PoolValues,
    RelevantRanks,
    check_settings,
    list_pools,
    measure_pool,
    relevant_ranks,
)
from isoglot.evaluation.vectors import prepare_vectors

__all__ = ["DEFAULT_RUN_DEPTH", "Evaluation", "SettingRow", "evaluate"]

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
    similarity: str
    measures: tuple[str, ...]
    ranks: RelevantRanks
    pools: tuple[PoolValues, ...]
    """Pools with at least one measured query."""
    skipped_by_setting: Mapping[str, int]
    """(query, pool) pairs left out because the pool holds no relevant passage."""
    ranking: Ranking | None
    """The head of the ranking of all passages, for runs."""

    @property
    def skipped_queries(self) -> int:
        """Queries without a relevant passage in any pool."""
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


def evaluate(
    collection: Collection,
    query_embeddings: NDArray[Any],
    passage_embeddings: NDArray[Any],
    *,
    similarity: str = "cosine",
    measures: Iterable[str] = DEFAULT_MEASURES,
    settings: Iterable[str] = SETTINGS,
    run_depth: int = DEFAULT_RUN_DEPTH,
    memory_mb: int = 128,
) -> Evaluation:
    """Measure an encoder in all three settings from one pass over the scores.

    Args:
        collection: Queries, passages and judgments.
        query_embeddings: (queries, dim), floating point, in the order of ``collection.queries``.
        passage_embeddings: (passages, dim), in the order of ``collection.passages``.
        similarity: ``"cosine"`` or ``"dot"``.
        measures: Names as ir_measures writes them; full depth, whatever ``run_depth`` is.
        settings: Which of the three.
        run_depth: Passages to keep per query for TREC runs; 0 keeps none.
        memory_mb: Budget for scores, in MiB. Float32 copies of the embeddings come on top.

    Raises:
        ConfigError: If an option has a value that is not allowed.
        DataError: If embeddings do not fit the collection, hold values that cannot be scored, or no
            query has a relevant passage in any pool of the settings.
    """
    wanted = parse_measures(measures)
    setting_names = check_settings(settings)
    query_names = [f"{query.query_id} ({query.lang})" for query in collection.queries]
    doc_ids = [passage.doc_id for passage in collection.passages]
    order = order_passages(collection.passages)
    relevant = relevant_passages(collection)
    counts = count_higher(
        prepare_vectors(query_embeddings, query_names, what="query", similarity=similarity),
        prepare_vectors(passage_embeddings, doc_ids, what="passage", similarity=similarity),
        relevant,
        order,
        depth=run_depth,
        memory_mb=memory_mb,
    )
    ranks = relevant_ranks(collection, relevant, order, counts.higher)
    pools = [measure_pool(ranks, pool, wanted) for pool in list_pools(ranks, setting_names)]
    measured = tuple(pool for pool in pools if pool.queries.size)
    if not measured:
        raise DataError(
            f"{collection.name}: no query has a relevant passage in any pool of "
            f"{', '.join(setting_names)}; choose other settings"
        )
    return Evaluation(
        collection=collection,
        similarity=similarity,
        measures=tuple(map(str, wanted)),
        ranks=ranks,
        pools=measured,
        skipped_by_setting=_count_skipped(ranks, pools, setting_names),
        ranking=counts.ranking,
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
