"""Published results to stand beside ours: the mean rows and the tables of arXiv 2408.10536.

The figures are in ``published.json``, as printed. They were obtained with the paper's own training
and texts; the paper does not say, for example, which size of XLM-R it used.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = [
    "PublishedRow",
    "PublishedTable",
    "papers_encoder",
    "published_encoder",
    "published_languages",
    "published_rows",
    "published_tables",
]

_ENCODERS = {"xlm-roberta": "XLM-R", "xlm-r": "XLM-R", "labse": "LaBSE"}
_PAPERS = {
    "xlm-roberta-base": "XLM-R",
    "xlm-roberta-large": "XLM-R",
    "FacebookAI/xlm-roberta-base": "XLM-R",
    "FacebookAI/xlm-roberta-large": "XLM-R",
    "LaBSE": "LaBSE",
    "sentence-transformers/LaBSE": "LaBSE",
}


@dataclass(frozen=True)
class PublishedRow:
    """Mean figures of one encoder trained with one kind of batches."""

    benchmark: str
    encoder: str
    batches: str
    source: str
    """Paper and table numbers."""
    metrics: dict[str, Any]
    """``summary`` and ``bias`` as in ``metrics.json``, as far as published."""


@dataclass(frozen=True)
class PublishedTable:
    """One encoder on one benchmark in one setting and measure, by query language."""

    benchmark: str
    encoder: str
    setting: str
    measure: str
    """As ir_measures writes it, or ``rank distance``."""
    source: str
    """Paper and table number."""
    values: Mapping[str, Mapping[str, float]]
    """By language and batches (``monolingual``, ``cross-lingual``, ``hybrid``). The cross-lingual
    setting averages over the languages of the passages."""


@functools.cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Return all published rows; the file is read on the first call."""
    published = _read()
    return tuple(
        PublishedRow(
            benchmark=row["benchmark"],
            encoder=row["encoder"],
            batches=row["batches"],
            source=f"{published['paper']}, {_tables(row['tables'])}",
            metrics={"summary": row["summary"], "bias": row["bias"]},
        )
        for row in published["rows"]
    )


@functools.cache
def published_tables() -> tuple[PublishedTable, ...]:
    """Return the published figures by language; the file is read on the first call."""
    published = _read()
    batches = published["batches_by_language"]
    return tuple(
        PublishedTable(
            benchmark=table["benchmark"],
            encoder=table["encoder"],
            setting=table["setting"],
            measure=table["measure"],
            source=f"{published['paper']}, {_tables([table['table']])}",
            values={
                lang: dict(zip(batches, figures, strict=True))
                for lang, figures in table["values"].items()
            },
        )
        for table in published["by_language"]
    )


@functools.cache
def published_languages() -> Mapping[str, frozenset[str]]:
    """Return the languages with published figures, by benchmark."""
    found: dict[str, frozenset[str]] = {}
    for table in published_tables():
        found[table.benchmark] = found.get(table.benchmark, frozenset()) | table.values.keys()
    return found


def papers_encoder(name: str) -> str | None:
    """Return the published name of an encoder if it is one of the paper's, and not made from one.

    >>> papers_encoder("FacebookAI/xlm-roberta-base"), papers_encoder("someone/LaBSE-en-ru")
    ('XLM-R', None)
    """
    return _PAPERS.get(name)


def published_encoder(name: str) -> str:
    """Return the published name of an encoder, or the name itself; for tables side by side.

    What was made from an encoder and starts with its name stands beside it.

    >>> published_encoder("FacebookAI/xlm-roberta-base"), published_encoder("mini")
    ('XLM-R', 'mini')
    """
    last = name.rstrip("/").rpartition("/")[2].lower()
    return next((known for start, known in _ENCODERS.items() if last.startswith(start)), name)


def _read() -> dict[str, Any]:
    file = resources.files("isoglot.reporting") / "published.json"
    published: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return published


def _tables(numbers: list[int]) -> str:
    word = "Table" if len(numbers) == 1 else "Tables"
    return f"{word} {' and '.join(map(str, numbers))}"
