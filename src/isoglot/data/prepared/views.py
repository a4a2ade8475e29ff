"""Large arrays seen through a choice of rows, so that choosing groups copies none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Cells", "Names"]

IntArray = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]

_BLOCK = 1 << 18
"""Rows that are looked at in one step; what they need in memory is small beside the arrays."""


def _narrowed(rows: Rows | None, chosen: npt.NDArray[Any]) -> Rows:
    """Return the chosen ones of the rows seen so far."""
    return chosen.astype(np.int32) if rows is None else rows[chosen]


class Cells(np.lib.mixins.NDArrayOperatorsMixin):
    """An array (groups, languages) of rows of texts, in memory or mapped from disk.

    It is indexed like the array that it stands for: ``cells[groups]``, ``cells[groups, langs]``,
    ``cells[:, lang]``. Whole-array arithmetic works too but copies; use ``blocks``.

    Args:
        array: (groups, languages).
        groups: The groups to see, by row of ``array``; default: all.
        langs: The languages to see, by column of ``array``; default: all.
    """

    def __init__(
        self, array: npt.NDArray[np.int32], groups: Rows | None = None, langs: Rows | None = None
    ) -> None:
        self._array = array
        self._flat = array.reshape(-1)
        self._groups = groups
        self._langs = langs

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of groups and languages."""
        groups, langs = self._array.shape
        return (
            groups if self._groups is None else len(self._groups),
            langs if self._langs is None else len(self._langs),
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - as numpy
        groups, langs = key if isinstance(key, tuple) else (key, slice(None))
        by_lang, by_group = isinstance(groups, slice), isinstance(langs, slice)
        groups = groups if self._groups is None else self._groups[groups]
        langs = langs if self._langs is None else self._langs[langs]
        if by_group:
            picked = self._array[groups][..., langs]
        elif by_lang:
            picked = self._array[:, langs][groups]
        else:
            picked = self._array[groups, langs]
        return picked.astype(np.int64)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> IntArray:
        return np.asarray(self[:], dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401
        arrays = (np.asarray(i) if isinstance(i, Cells) else i for i in inputs)
        return getattr(ufunc, method)(*arrays, **options)

    def at(self, groups: IntArray, langs: IntArray) -> IntArray:
        """Return ``cells[groups, langs]``, the cells of pairs of a group and a language: (pairs,).

        One flat gather, which is twice as fast as indexing by two arrays.
        """
        rows = groups if self._groups is None else self._groups.take(groups).astype(np.int64)
        columns = langs if self._langs is None else self._langs.take(langs)
        picked: IntArray = self._flat.take(rows * self._array.shape[1] + columns).astype(np.int64)
        return picked

    def choose(self, groups: IntArray) -> Cells:
        """Return the cells of some of the groups."""
        return Cells(self._array, _narrowed(self._groups, groups), self._langs)

    def choose_langs(self, langs: IntArray) -> Cells:
        """Return the cells of some of the languages."""
        return Cells(self._array, self._groups, _narrowed(self._langs, langs))

    def blocks(
        self, first: int = 0, end: int | None = None
    ) -> Iterator[tuple[slice, npt.NDArray[np.int32]]]:
        """Yield groups block by block: which they are, and their cells."""
        end = len(self) if end is None else end
        for start in range(first, end, _BLOCK):
            span = slice(start, min(start + _BLOCK, end))
            rows = span if self._groups is None else self._groups[span]
            block = self._array[rows]
            yield span, block if self._langs is None else block[:, self._langs]


class Names(Sequence[str]):
    """Names of groups, in memory or mapped from disk; equal to any sequence of the same names."""

    def __init__(self, names: pa.Array, rows: Rows | None = None) -> None:
        self._names = names
        self._rows = rows

    def __len__(self) -> int:
        return len(self._names) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[str]: ...
    def __getitem__(self, key: int | slice) -> str | Sequence[str]:
        if isinstance(key, slice):
            chosen = np.arange(len(self))[key]
            return [str(name) for name in self._names.take(self._at(chosen)).to_pylist()]
        return str(self._names[int(key if self._rows is None else self._rows[key])].as_py())

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self[start : start + _BLOCK]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Names({self[:5]}{' ...' if len(self) > 5 else ''})"

    def choose(self, rows: IntArray) -> Names:
        """Return some of the names."""
        return Names(self._names, _narrowed(self._rows, rows))

    def _at(self, chosen: IntArray) -> pa.Array:
        return pa.array(chosen if self._rows is None else self._rows[chosen])
