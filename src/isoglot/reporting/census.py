"""The census and single batches as text a person reads before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isoglot.batches.plan import Batch
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.reporting.writers import Table, shorten

__all__ = ["batch_text", "census_text"]

_SHOWN = 60
"""Characters of a text that are shown."""


def census_text(available: Mapping[str, Any], drawn: Mapping[str, Any]) -> str:
    """Return both parts of a census as text.

    Args:
        available: What ``available_rows`` returns.
        drawn: What ``count_batches`` returns.
    """
    datasets = available["datasets"]
    sizes = Table(
        ("data set", "monolingual rows", "cross-lingual rows", "batches"),
        tuple(
            (
                name,
                str(rows["monolingual_rows"]),
                str(rows["cross-lingual_rows"]),
                str(drawn["batches_by_dataset"].get(name, 0)),
            )
            for name, rows in datasets.items()
        ),
        text_columns=1,
    )
    batches = drawn["monolingual_batches_by_language"]
    langs = sorted({lang for rows in datasets.values() for lang in rows["monolingual"]})
    languages = Table(
        ("language", "monolingual rows", "monolingual batches", "rows as query", "rows as passage"),
        tuple(
            (
                lang,
                str(sum(rows["monolingual"].get(lang, 0) for rows in datasets.values())),
                str(batches.get(lang, 0)),
                str(_rows(drawn, 0, lang)),
                str(_rows(drawn, 1, lang)),
            )
            for lang in langs
        ),
        text_columns=1,
    )
    head = (
        f"{available['groups']} groups of {available['meanings']} meanings, "
        f"{available['languages']} languages, {available['ordered_pairs']} ordered pairs"
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in drawn["batches"].items())
    return f"{head}\n\n{sizes.to_text()}\n{languages.to_text()}\nbatches of this run: {kinds}"


def batch_text(table: ParallelTable, batch: Batch) -> str:
    """Return the rows of one batch as text: languages, group, query, passage, negatives."""
    lines = [
        f"batch {batch.index}: {batch.kind}, {table.datasets[batch.dataset]}, {len(batch)} rows"
    ]
    for row in range(len(batch)):
        query_lang = table.langs[int(batch.query_langs[row])]
        passage_lang = table.langs[int(batch.passage_langs[row])]
        lines.append(f"{query_lang}-{passage_lang}  {table.group_ids[int(batch.groups[row])]}")
        lines.append(f"    query     {_start(table, batch.query_texts[row])}")
        lines.append(f"    passage   {_start(table, batch.passage_texts[row])}")
        for text, lang in zip(batch.negative_texts[row], batch.negative_langs[row], strict=True):
            lines.append(f"    negative  {_start(table, text)} ({table.langs[int(lang)]})")
    return "\n".join(lines)


def _start(table: ParallelTable, row: np.int64) -> str:
    return "" if row == ABSENT else shorten(table.text(int(row)), _SHOWN)


def _rows(drawn: Mapping[str, Any], side: int, lang: str) -> int:
    return sum(n for pair, n in drawn["rows_by_pair"].items() if pair.split("-")[side] == lang)
