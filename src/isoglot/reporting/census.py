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
    langs = sorted(
        {lang for rows in datasets.values() for lang in rows["monolingual"]}
        | {lang for pair in drawn["rows_by_pair"] for lang in pair.split("-")}
    )
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
    lines = [
        f"batches of this run: {kinds}; expected share of monolingual ones "
        f"{available['monolingual_share']:.3g}",
        *_fed(datasets),
    ]
    if "parallel_rows" in drawn:
        rows = sum(drawn["rows_by_pair"].values())
        found = drawn["parallel_rows"]
        lines.append(
            f"of {rows} rows, {found['query']} have their query and {found['passage']} their "
            "passage in another language, too"
        )
    return "\n".join([head, "", sizes.to_text(), languages.to_text(), *lines])


def _fed(datasets: Mapping[str, Any]) -> list[str]:
    """Say from which data sets batches of each kind are drawn, and from which none are."""
    kinds: dict[str, list[str]] = {"monolingual": [], "cross-lingual": [], "no": []}
    for name, rows in datasets.items():
        for kind in rows["feeds"] or ["no"]:
            kinds[kind].append(name)
    return [f"{kind} batches from: {', '.join(names)}" for kind, names in kinds.items() if names]


def batch_text(table: ParallelTable, batch: Batch) -> str:
    """Return the rows of one batch as text: languages, group, query, passage, negatives.

    Queries and passages in another language are shown below those that they are parallel to.
    """
    lines = [
        f"batch {batch.index}: {batch.kind}, {table.datasets[batch.dataset]}, {len(batch)} rows"
    ]
    for row in range(len(batch)):
        query_lang = table.langs[int(batch.query_langs[row])]
        passage_lang = table.langs[int(batch.passage_langs[row])]
        lines.append(f"{query_lang}-{passage_lang}  {table.group_ids[int(batch.groups[row])]}")
        lines.append(f"    query     {_start(table, batch.query_texts[row])}")
        text, lang = batch.parallel_query_texts[row], batch.parallel_query_langs[row]
        lines += _in_lang("parallel", table, text, lang)
        lines.append(f"    passage   {_start(table, batch.passage_texts[row])}")
        text, lang = batch.parallel_passage_texts[row], batch.parallel_passage_langs[row]
        lines += _in_lang("parallel", table, text, lang)
        for text, lang in zip(batch.negative_texts[row], batch.negative_langs[row], strict=True):
            lines += _in_lang("negative", table, text, lang)
    return "\n".join(lines)


def _in_lang(what: str, table: ParallelTable, row: np.int64, lang: np.int64) -> list[str]:
    if row == ABSENT:
        return []
    return [f"    {what:8}  {_start(table, row)} ({table.langs[int(lang)]})"]


def _start(table: ParallelTable, row: np.int64) -> str:
    return "" if row == ABSENT else shorten(table.text(int(row)), _SHOWN)


def _rows(drawn: Mapping[str, Any], side: int, lang: str) -> int:
    return sum(n for pair, n in drawn["rows_by_pair"].items() if pair.split("-")[side] == lang)
