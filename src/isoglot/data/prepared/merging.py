"""Blocks to one table: every text numbered once, groups joined that share a question or passage.

Texts are known by their hashes, and what is large is given block by block. Per text of the blocks
this needs about 100 bytes of memory, per group about 50.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from isoglot.data.prepared.blocks import Block
from isoglot.data.prepared.files import Bytes, cut_strings
from isoglot.data.prepared.hashing import Hashes, number_equal

__all__ = ["ABSENT", "Merged"]

ABSENT = -1
"""Marks a language in which a group has no text."""

IntArray = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]


class Merged:
    """The table that blocks make together; nothing large is kept but by number.

    Args:
        blocks: In the order of the groups.
        datasets: Of each block, the number of its data set.
    """

    def __init__(self, blocks: Sequence[Block], datasets: Sequence[int]) -> None:
        self._blocks = blocks
        block_langs = [block["langs"].tolist() for block in blocks]
        self.langs: tuple[str, ...] = tuple(sorted({lang for here in block_langs for lang in here}))
        place = {lang: column for column, lang in enumerate(self.langs)}
        self._columns = [np.array([place[lang] for lang in here], np.int32) for here in block_langs]
        self._groups = _starts([len(block["line"]) for block in blocks])
        self._negatives = _starts([len(block["negative_owner"]) for block in blocks])
        self._texts = _starts([len(block["text_ends"]) for block in blocks])
        counts = np.diff(self._groups)
        self.dataset = np.repeat(np.asarray(datasets, dtype=np.int16), counts)
        self._number_texts()

    def _number_texts(self) -> None:
        """Give every different text its row, in order of appearance."""
        equal = number_equal(self._gather("text_hash", np.uint64, 2))
        self._new = equal == np.arange(len(equal))
        rows = np.cumsum(self._new, dtype=np.int32) - 1
        self._row = rows[equal]
        self.texts = int(self._new.sum())
        """Number of different texts."""

    @cached_property
    def folded(self) -> Hashes:
        """(texts, 2): hashes of the texts less case and white space."""
        parts = [
            block["folded_hash"][self._new[span]]
            for block, span in zip(self._blocks, _spans(self._texts), strict=True)
        ]
        return np.concatenate(parts)

    @property
    def order(self) -> npt.NDArray[np.uint64]:
        """(groups,): hashes that put the groups into the order in which they are held out."""
        return self._gather("order_hash", np.uint64)

    @property
    def negative_start(self) -> IntArray:
        """(groups + 1,): where the listed negatives of each group start."""
        owners = [
            block["negative_owner"] + start
            for block, start in zip(self._blocks, self._groups, strict=False)
        ]
        counts = np.bincount(np.concatenate(owners), minlength=self._groups[-1])
        return np.concatenate([[0], np.cumsum(counts)])

    def passages_are_queries(self) -> bool:
        """Say whether every group has the same texts as query and as passage, as in a bitext."""
        return all(np.array_equal(block["query"], block["passage"]) for block in self._blocks)

    def cells(self, side: str) -> Iterator[Rows]:
        """Yield the rows of texts of every block: (groups or listed negatives, languages).

        Args:
            side: ``query``, ``passage`` or ``negative``.
        """
        heights = np.diff(self._negatives if side == "negative" else self._groups)
        for number, (block, height) in enumerate(zip(self._blocks, heights, strict=True)):
            entries = block[side]
            cells = np.full((height, len(self.langs)), ABSENT, dtype=np.int32)
            langs = self._columns[number][entries[:, 1]]
            cells[entries[:, 0], langs] = self._row[self._texts[number] + entries[:, 2]]
            yield cells

    def strings(self) -> Iterator[tuple[Bytes, IntArray]]:
        """Yield the texts that no earlier block has, as ``join_strings`` joins them."""
        for block, span in zip(self._blocks, _spans(self._texts), strict=True):
            yield cut_strings(block["text_bytes"], block["text_ends"], self._new[span])

    def names(self) -> Iterator[tuple[Bytes, IntArray]]:
        """Yield the ids of the groups of every block, likewise."""
        for block in self._blocks:
            yield block["id_bytes"], block["id_ends"]

    def meanings(self) -> tuple[Rows, IntArray]:
        """Join the groups that share a question or a passage, directly or through others.

        A listed negative in several languages says that its texts are translations: groups whose
        passages they are share a passage through it.

        Returns:
            The meaning of each group, and that of each listed negative: of the groups that have it
            as their passage in some language, else one of its own.
        """
        same = number_equal(self.folded).astype(np.int32)
        groups = int(self._groups[-1])
        queries, passages = self._edges("query", same), self._edges("passage", same)
        negatives, texts = self._edges("negative", same)
        owner = np.full(self.texts, ABSENT, dtype=np.int32)
        owner[passages[1]] = passages[0]
        owned = owner[texts] != ABSENT
        through = _links(owner[texts[owned]], negatives[owned])
        links = (_links(*queries), _links(*passages), through)
        one, other = map(np.concatenate, zip(*links, strict=True))
        graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(groups, groups))
        count, meaning = connected_components(graph, directed=False)

        negative_meaning = np.zeros(self._negatives[-1], dtype=np.int64)
        negative_meaning[negatives] = count + texts.astype(np.int64)
        negative_meaning[negatives[owned]] = meaning[owner[texts[owned]]]
        return meaning.astype(np.int32), negative_meaning

    def _edges(self, side: str, same: Rows) -> tuple[Rows, Rows]:
        """Return (group or listed negative, text) for each text of a side, folded texts once."""
        starts = self._negatives if side == "negative" else self._groups
        numbers, texts = [], []
        for number, block in enumerate(self._blocks):
            entries = block[side]
            numbers.append((entries[:, 0] + starts[number]).astype(np.int32))
            texts.append(same[self._row[self._texts[number] + entries[:, 2]]])
        return np.concatenate(numbers), np.concatenate(texts)

    def _gather(self, name: str, dtype: Any, width: int | None = None) -> npt.NDArray[Any]:  # noqa: ANN401
        """Return an array of all blocks."""
        empty = np.zeros((0,) if width is None else (0, width), dtype=dtype)
        return np.concatenate([empty, *(block[name] for block in self._blocks)])


def _links(groups: Rows, texts: Rows) -> tuple[Rows, Rows]:
    """Return pairs of groups that chain together all groups of each text."""
    repeated = np.bincount(texts)[texts] > 1
    groups, texts = groups[repeated], texts[repeated]
    order = np.argsort(texts, kind="stable")
    groups, texts = groups[order], texts[order]
    same = texts[1:] == texts[:-1]
    return groups[:-1][same], groups[1:][same]


def _starts(counts: Sequence[int]) -> IntArray:
    """Return where each of several neighbours starts, and where the last ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _spans(starts: IntArray) -> Iterator[slice]:
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        yield slice(start, end)
