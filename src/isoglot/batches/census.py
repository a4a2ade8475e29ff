"""The census: what a plan can draw, how often it will, and what it drew.

Counted before training (``isoglot train --dry-run``) and stored with every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from isoglot.batches.plan import CROSS_LINGUAL, MONOLINGUAL, Batch, BatchPlan
from isoglot.data.parallel import ABSENT

__all__ = ["available_rows", "count_batches"]


def available_rows(plan: BatchPlan) -> dict[str, Any]:
    """Count what the plan can draw from.

    Returns:
        ``languages`` and ``ordered_pairs`` (numbers), ``groups`` and ``meanings``;
        ``monolingual_share``, the expected share of monolingual batches in the run; and per data
        set the kinds of batches that it ``feeds`` and the rows that it can give to those for which
        the config names it: ``monolingual`` by language, ``cross-lingual`` by ``"query-passage"``
        pair, with their totals.
    """
    datasets = {}
    pairs: set[str] = set()
    for dataset, name in enumerate(plan.table.datasets):
        monolingual, cross_lingual = _rows_of(plan, dataset)
        pairs.update(cross_lingual)
        datasets[name] = {
            "feeds": _feeds(plan, dataset),
            "monolingual_rows": sum(monolingual.values()),
            "cross-lingual_rows": sum(cross_lingual.values()),
            "monolingual": monolingual,
            "cross-lingual": cross_lingual,
        }
    return {
        "groups": len(plan.table),
        "meanings": len(np.unique(plan.table.meaning)),
        "languages": len(plan.langs),
        "ordered_pairs": len(pairs),
        "monolingual_share": plan.expected_share,
        "datasets": datasets,
    }


def _rows_of(plan: BatchPlan, dataset: int) -> tuple[dict[str, int], dict[str, int]]:
    """Count a data set's rows by language, and by pair of languages."""
    monolingual, cross_lingual = {}, {}
    name, config = plan.table.datasets[dataset], plan.config
    for (query, passage), rows in np.ndenumerate(plan.pools[dataset].sizes[:-1]):
        names = config.monolingual_from if query == passage else config.cross_lingual_from
        if not rows or not (names is None or name in names):
            continue
        if query == passage:
            monolingual[plan.langs[query]] = int(rows)
        else:
            cross_lingual[f"{plan.langs[query]}-{plan.langs[passage]}"] = int(rows)
    return monolingual, cross_lingual


def _feeds(plan: BatchPlan, dataset: int) -> list[str]:
    """Return the kinds of batches that are drawn from a data set."""
    shares = plan.config.share_range
    in_monolingual = max(shares) > 0 and plan.weights.monolingual[dataset].any()
    in_cross_lingual = min(shares) < 1 and plan.weights.cross_lingual[dataset] > 0
    fed = ((MONOLINGUAL, in_monolingual), (CROSS_LINGUAL, in_cross_lingual))
    return [kind for kind, drawn in fed if drawn]


def count_batches(plan: BatchPlan, indices: Iterable[int]) -> dict[str, Any]:
    """Count what the given batches hold: batches by kind and data set, rows by language and pair.

    The counts are of the batches as drawn, not of expectations; the plan draws them again.
    ``parallel_rows`` counts the rows whose query or passage is there in another language; only
    where the plan draws such texts.
    """
    kinds: Counter[str] = Counter()
    datasets: Counter[str] = Counter()
    mono_batches: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    parallel_rows: Counter[str] = Counter()
    for index in indices:
        batch = plan.batch(index)
        kinds[batch.kind] += 1
        datasets[plan.table.datasets[batch.dataset]] += 1
        if batch.kind == MONOLINGUAL:
            mono_batches[plan.langs[int(batch.query_langs[0])]] += 1
        rows.update(_pairs(plan, batch))
        for side, texts in (
            ("query", batch.parallel_query_texts),
            ("passage", batch.parallel_passage_texts),
        ):
            parallel_rows[side] += int(np.count_nonzero(texts != ABSENT))
    counts = {
        "batches": dict(sorted(kinds.items())),
        "batches_by_dataset": dict(sorted(datasets.items())),
        "monolingual_batches_by_language": dict(sorted(mono_batches.items())),
        "rows_by_pair": dict(sorted(rows.items())),
    }
    return {**counts, "parallel_rows": dict(parallel_rows)} if plan.parallels else counts


def _pairs(plan: BatchPlan, batch: Batch) -> Counter[str]:
    codes, counts = np.unique(
        batch.query_langs * len(plan.langs) + batch.passage_langs, return_counts=True
    )
    return Counter(
        {
            f"{plan.langs[code // len(plan.langs)]}-{plan.langs[code % len(plan.langs)]}": int(n)
            for code, n in zip(codes.tolist(), counts, strict=True)
        }
    )
