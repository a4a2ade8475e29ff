"""The census: what a plan can draw, how often it will, and what it drew.

Counted before training (``isoglot train --dry-run``) and stored with every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from isoglot.batches.plan import MONOLINGUAL, Batch, BatchPlan

__all__ = ["available_rows", "count_batches"]


def available_rows(plan: BatchPlan) -> dict[str, Any]:
    """Count what the plan can draw from.

    Returns:
        ``languages`` and ``ordered_pairs`` (numbers), ``groups`` and ``meanings``, and per data set
        the rows it can give: ``monolingual`` by language, ``cross-lingual`` by ``"query-passage"``
        pair, with their totals.
    """
    datasets = {}
    pairs: set[str] = set()
    for name, pools in zip(plan.table.datasets, plan.pools, strict=True):
        monolingual, cross_lingual = {}, {}
        for (query, passage), rows in np.ndenumerate(pools.sizes[:-1]):
            if rows and query == passage:
                monolingual[plan.langs[query]] = int(rows)
            elif rows:
                cross_lingual[f"{plan.langs[query]}-{plan.langs[passage]}"] = int(rows)
        pairs.update(cross_lingual)
        datasets[name] = {
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
        "datasets": datasets,
    }


def count_batches(plan: BatchPlan, indices: Iterable[int]) -> dict[str, Any]:
    """Count what the given batches hold: batches by kind and data set, rows by language and pair.

    The counts are of the batches as drawn, not of expectations; the plan draws them again.
    """
    kinds: Counter[str] = Counter()
    datasets: Counter[str] = Counter()
    mono_batches: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for index in indices:
        batch = plan.batch(index)
        kinds[batch.kind] += 1
        datasets[plan.table.datasets[batch.dataset]] += 1
        if batch.kind == MONOLINGUAL:
            mono_batches[plan.langs[int(batch.query_langs[0])]] += 1
        rows.update(_pairs(plan, batch))
    return {
        "batches": dict(sorted(kinds.items())),
        "batches_by_dataset": dict(sorted(datasets.items())),
        "monolingual_batches_by_language": dict(sorted(mono_batches.items())),
        "rows_by_pair": dict(sorted(rows.items())),
    }


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
