"""Explicit negatives of a batch: the listed ones where they serve, else other groups' passages.

In a monolingual batch they are in its language; in a cross-lingual one in any language but the
query's (arXiv 2408.10536, section 3.1). None has the meaning of a positive in the batch, because
every query of the batch may be scored against it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoglot.batches.pools import Pools
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.errors import DataError

__all__ = ["draw_negatives"]

_REDRAWS = 1000

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def draw_negatives(
    rng: np.random.Generator,
    table: ParallelTable,
    pools: Pools,
    groups: IntArray,
    allowed: BoolArray,
    count: int,
) -> tuple[IntArray, IntArray]:
    """Draw negatives for the rows of a batch.

    Args:
        rng: Source of random numbers.
        table: The groups.
        pools: The pools of the batch's data set.
        groups: (rows,) the batch's groups.
        allowed: (rows, languages) languages in which a row's negatives may be.
        count: Negatives per row.

    Returns:
        Rows of ``table.texts`` and positions of languages, both (rows, count).

    Raises:
        DataError: If the data set has no passage that could serve.
    """
    texts = np.full((len(groups), count), ABSENT, dtype=np.int64)
    langs = np.full((len(groups), count), ABSENT, dtype=np.int64)
    if count == 0:
        return texts, langs
    positives = table.meaning[groups]
    _take_listed(rng, table, groups, allowed, texts, langs)
    rows, slots = np.nonzero(texts == ABSENT)
    open_langs = allowed & (pools.sizes[-1] > 0)
    if not open_langs[rows].any(axis=1).all():
        raise DataError(
            f"data set {table.datasets[table.dataset[groups[0]]]!r} has no passage in a language "
            "that a negative needs; use loss.negatives: in-batch or add languages"
        )
    for _ in range(_REDRAWS):
        if len(rows) == 0:
            return texts, langs
        lang = _pick_one(rng, open_langs[rows])
        any_query = np.full(len(rows), pools.sizes.shape[0] - 1)
        drawn = pools.draw(any_query, lang, rng.random(len(rows)))
        texts[rows, slots], langs[rows, slots] = table.passage[drawn, lang], lang
        clash = np.isin(table.meaning[drawn], positives)
        rows, slots = rows[clash], slots[clash]
    raise DataError(
        f"data set {table.datasets[table.dataset[groups[0]]]!r} is too small for negatives beside "
        f"a batch of {len(groups)}; reduce batches.size or use loss.negatives: in-batch"
    )


def _take_listed(
    rng: np.random.Generator,
    table: ParallelTable,
    groups: IntArray,
    allowed: BoolArray,
    texts: IntArray,
    langs: IntArray,
) -> None:
    """Fill in listed negatives, in random order, as far as each row has usable ones."""
    starts = table.negative_start[groups]
    counts = table.negative_start[groups + 1] - starts
    most = int(counts.max())
    if most == 0:
        return
    slots = np.arange(most)
    listed = np.where(slots < counts[:, None], starts[:, None] + slots, 0)  # (rows, most)
    options = (table.negative[listed] != ABSENT) & allowed[:, None, :]
    usable = (slots < counts[:, None]) & options.any(axis=2)
    usable &= ~np.isin(table.negative_meaning[listed], table.meaning[groups])
    order = np.argsort(np.where(usable, rng.random(usable.shape), 2.0), axis=1)
    for slot in range(min(most, texts.shape[1])):
        chosen = order[:, slot]
        rows = np.flatnonzero(usable[np.arange(len(groups)), chosen])
        negative = listed[rows, chosen[rows]]
        lang = _pick_one(rng, options[rows, chosen[rows]])
        texts[rows, slot], langs[rows, slot] = table.negative[negative, lang], lang


def _pick_one(rng: np.random.Generator, options: BoolArray) -> IntArray:
    """Pick one true column per row, uniformly."""
    picked: IntArray = np.where(options, rng.random(options.shape), -1.0).argmax(axis=1)
    return picked
