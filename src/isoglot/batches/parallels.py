"""The texts of a batch again in other languages, for objectives on parallel texts.

For each row one other language is drawn for its query and one for its passage, uniformly from those
that its group has. Which objectives use them is decided in training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from isoglot.data.parallel import ABSENT
from isoglot.data.prepared.views import Cells

__all__ = ["Texts", "draw_parallels", "no_texts"]

IntArray = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """A text for each row of a batch; both are ``ABSENT`` where there is none."""

    rows: IntArray
    """(rows,) rows of ``ParallelTable.texts``."""
    langs: IntArray
    """(rows,) positions of languages."""


def no_texts(count: int) -> Texts:
    """Return a text for none of the rows."""
    return Texts(np.full(count, ABSENT, dtype=np.int64), np.full(count, ABSENT, dtype=np.int64))


def draw_parallels(
    rng: np.random.Generator, cells: Cells, groups: IntArray, langs: IntArray
) -> Texts:
    """Draw each row's text again in another language.

    Args:
        rng: Source of random numbers; one per row is used.
        cells: The queries, or the passages, of all groups.
        groups: (rows,) the batch's groups.
        langs: (rows,) the languages that the batch has them in.

    Returns:
        The texts, uniform over the other languages in which a row's group has another one.
    """
    texts = cells[groups]  # (rows, languages)
    options = texts != ABSENT
    # Nor the very same text, which is no translation.
    options &= texts != texts[np.arange(len(groups)), langs][:, None]
    # One random number per row instead of one per cell, which would take most of the time.
    counts = np.count_nonzero(options, axis=1)
    places = np.flatnonzero(options)
    ordinal = np.cumsum(counts) - counts + (rng.random(len(groups)) * counts).astype(np.int64)
    drawn = no_texts(len(groups))
    found = np.flatnonzero(counts)
    picked = places[ordinal[found]]
    drawn.rows[found] = texts.ravel()[picked]
    drawn.langs[found] = picked % options.shape[1]
    return drawn
