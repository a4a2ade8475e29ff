"""Explicit negatives of a batch: the listed ones where they serve, else other groups' passages.

In a monolingual batch they are in its language; in a cross-lingual one in any language but the
query's (arXiv 2408.10536, section 3.1), unless the config says otherwise. None has the meaning of a
positive in the batch, because every query of the batch may be scored against it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoglot.batches.pools import Pools
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.errors import DataError

__all__ = ["draw_negatives"]

_REDRAWS = 1000
_WISHED_REDRAWS = 32
"""Where any other language will do: a wished one in which nearly every passage clashes is left."""

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def draw_negatives(
    rng: np.random.Generator,
    table: ParallelTable,
    pools: Pools,
    groups: IntArray,
    allowed: BoolArray,
    count: int,
    *,
    or_any_language: bool = False,
) -> tuple[IntArray, IntArray]:
    """Draw negatives for the rows of a batch.

    Args:
        rng: Source of random numbers.
        table: The groups.
        pools: The pools of the batch's data set.
        groups: (rows,) the batch's groups.
        allowed: (rows, languages) languages in which a row's negatives may be.
        count: Negatives per row.
        or_any_language: Whether a row for which the data set has no passage in the allowed
            languages, or hardly one that is not in the batch, takes them in any language.

    Returns:
        Rows of ``table.texts`` and positions of languages, both (rows, count).

    Raises:
        DataError: If the data set has no passage that could serve.
    """
    texts = np.full((len(groups), count), ABSENT, dtype=np.int64)
    langs = np.full((len(groups), count), ABSENT, dtype=np.int64)
    if count == 0:
        return texts, langs
    has_passages = pools.sizes[-1] > 0  # (languages,)
    open_langs = allowed & has_passages
    elsewhere = np.zeros(len(groups), dtype=bool)
    if or_any_language:
        elsewhere = ~open_langs.any(axis=1)
        open_langs[elsewhere] = has_passages
    _take_listed(rng, table, groups, allowed, elsewhere, texts, langs)
    if or_any_language:
        _take_random(rng, table, pools, groups, open_langs, texts, langs, _WISHED_REDRAWS)
        open_langs[:] = has_passages
    _take_random(rng, table, pools, groups, open_langs, texts, langs, _REDRAWS)
    if (texts == ABSENT).any():
        raise DataError(
            f"data set {table.datasets[table.dataset[groups[0]]]!r} is too small for negatives "
            f"beside a batch of {len(groups)}; reduce batches.size or use loss.negatives: in-batch"
        )
    return texts, langs


def _take_listed(
    rng: np.random.Generator,
    table: ParallelTable,
    groups: IntArray,
    allowed: BoolArray,
    elsewhere: BoolArray,
    texts: IntArray,
    langs: IntArray,
) -> None:
    """Fill in listed negatives, in random order, as far as each row has usable ones.

    Rows of ``elsewhere``, (rows,), take those in other languages than the allowed ones, too, last.
    """
    starts = table.negative_start[groups]
    counts = table.negative_start[groups + 1] - starts
    most = int(counts.max())
    if most == 0:
        return
    slots = np.arange(most)
    listed = np.where(slots < counts[:, None], starts[:, None] + slots, 0)  # (rows, most)
    present = table.negative[listed] != ABSENT
    options = present & allowed[:, None, :]
    wished = options.any(axis=2)
    options |= present & (elsewhere[:, None] & ~wished)[:, :, None]
    usable = (slots < counts[:, None]) & options.any(axis=2)
    usable &= ~np.isin(table.negative_meaning[listed], table.meaning[groups])
    rank = rng.random(usable.shape) + ~wished
    order = np.argsort(np.where(usable, rank, 3.0), axis=1)
    for slot in range(min(most, texts.shape[1])):
        chosen = order[:, slot]
        rows = np.flatnonzero(usable[np.arange(len(groups)), chosen])
        negative = listed[rows, chosen[rows]]
        lang = _pick_one(rng, options[rows, chosen[rows]])
        texts[rows, slot], langs[rows, slot] = table.negative[negative, lang], lang


def _take_random(
    rng: np.random.Generator,
    table: ParallelTable,
    pools: Pools,
    groups: IntArray,
    allowed: BoolArray,
    texts: IntArray,
    langs: IntArray,
    redraws: int,
) -> None:
    """Fill what is left with passages of any group, redrawn while they mean what a positive does.

    What clashes so many times is left empty.
    """
    positives = table.meaning[groups]
    rows, slots = np.nonzero(texts == ABSENT)
    for _ in range(redraws):
        if len(rows) == 0:
            return
        lang = _pick_one(rng, allowed[rows])
        any_query = np.full(len(rows), pools.sizes.shape[0] - 1)
        drawn = pools.draw(any_query, lang, rng.random(len(rows)))
        fits = ~np.isin(table.meaning[drawn], positives)
        filled = rows[fits], slots[fits]
        texts[filled], langs[filled] = table.passage[drawn[fits], lang[fits]], lang[fits]
        rows, slots = rows[~fits], slots[~fits]


def _pick_one(rng: np.random.Generator, options: BoolArray) -> IntArray:
    """Pick one true column per row, uniformly."""
    picked: IntArray = np.where(options, rng.random(options.shape), -1.0).argmax(axis=1)
    return picked
