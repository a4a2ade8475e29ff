"""Published results to stand beside ours: the mean rows of arXiv 2408.10536.

The figures are in ``published.json``, as printed. They were obtained with the paper's own training
and texts; the paper does not say, for example, which size of XLM-R it used.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = ["PublishedRow", "published_encoder", "published_rows"]

_ENCODERS = {"xlm-roberta": "XLM-R", "xlm-r": "XLM-R", "labse": "LaBSE"}


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


@functools.cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Return all published rows; the file is read on the first call."""
    file = resources.files("isoglot.reporting") / "published.json"
    published = json.loads(file.read_text(encoding="utf-8"))
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


def published_encoder(name: str) -> str:
    """Return the published name of an encoder, or the name itself.

    >>> published_encoder("FacebookAI/xlm-roberta-base"), published_encoder("mini")
    ('XLM-R', 'mini')
    """
    last = name.rstrip("/").rpartition("/")[2].lower()
    return next((known for start, known in _ENCODERS.items() if last.startswith(start)), name)


def _tables(numbers: list[int]) -> str:
    word = "Table" if len(numbers) == 1 else "Tables"
    return f"{word} {' and '.join(map(str, numbers))}"
