"""How often languages, pairs of languages and data sets are drawn, and whether the data suffice.

Everything is drawn by its size to a power: 1 is by size, 0 is uniform (arXiv 2408.10536, section
2.2, draws languages and pairs uniformly). A power p is a temperature of 1 / p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoglot.batches.pools import Pools
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import ParallelTable
from isoglot.errors import ConfigError

__all__ = ["Weights", "weigh"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Weights:
    """Weights of what is drawn for a batch; 0 is never drawn. They need not sum to 1."""

    languages: FloatArray
    """(languages,): of monolingual batches."""
    monolingual: FloatArray
    """(data sets, languages): of the data sets, for a monolingual batch in a language."""
    cross_lingual: FloatArray
    """(data sets,): of the data sets, for a cross-lingual batch."""
    pairs: Sequence[FloatArray]
    """By data set, (languages, languages): of the rows' query and passage languages."""


def weigh(table: ParallelTable, pools: Sequence[Pools], config: BatchConfig) -> Weights:
    """Return the weights that a config gives the data sets and languages of a table.

    Args:
        table: The groups.
        pools: The pools of each data set.
        config: Names the exponents, and the data sets of each kind of batch.

    Raises:
        ConfigError: If the data cannot fill the batches that the config asks for, or a data set
            is named for neither kind.
    """
    return _Weigher(table, pools, config).weigh()


class _Weigher:
    """Keeps what every weight is computed from."""

    def __init__(self, table: ParallelTable, pools: Sequence[Pools], config: BatchConfig) -> None:
        self._table = table
        self._pools = pools
        self._config = config
        factors = config.dataset_weights
        self._factors: FloatArray = np.array([factors.get(name, 1.0) for name in table.datasets])
        self._for_monolingual = self._named(config.monolingual_from)
        self._for_cross_lingual = self._named(config.cross_lingual_from)

    def weigh(self) -> Weights:
        self._refuse_unused()
        languages, monolingual = self._weigh_languages()
        cross_lingual = self._weigh_cross_lingual()
        shares = self._config.share_range
        if max(shares) > 0:
            self._check_languages(languages)
        if min(shares) < 1 and not cross_lingual.any():
            raise self._no_cross_lingual_batch()
        return Weights(languages, monolingual, cross_lingual, [self._pairs(p) for p in self._pools])

    def _named(self, names: Sequence[str] | None) -> BoolArray:
        return np.array([names is None or name in names for name in self._table.datasets])

    def _weigh_languages(self) -> tuple[FloatArray, FloatArray]:
        """Return the weights of languages, and of data sets within each language.

        A data set serves a language only if it has enough different meanings there for a batch.
        """
        sizes = np.stack([np.diagonal(pools.sizes) for pools in self._pools])  # (datasets, langs)
        sizes = sizes * self._for_monolingual[:, None]
        for dataset, lang in np.argwhere(sizes > 0):
            if not self._fills_a_batch(self._pools[dataset].monolingual_groups(int(lang))):
                sizes[dataset, lang] = 0
        return (
            _powers(sizes.sum(axis=0), self._config.language_exponent),
            _powers(sizes, self._config.size_exponent) * self._factors[:, None],
        )

    def _weigh_cross_lingual(self) -> FloatArray:
        sizes = np.zeros(len(self._pools), dtype=np.int64)
        for dataset in np.flatnonzero(self._for_cross_lingual).tolist():
            groups = self._pools[dataset].cross_lingual_groups()
            sizes[dataset] = len(groups) if self._fills_a_batch(groups) else 0
        return _powers(sizes, self._config.size_exponent) * self._factors

    def _pairs(self, pools: Pools) -> FloatArray:
        sizes = pools.sizes[:-1].copy()
        np.fill_diagonal(sizes, 0)
        exponent = self._config.pair_exponent
        return _powers(sizes, self._config.language_exponent if exponent is None else exponent)

    def _fills_a_batch(self, groups: IntArray) -> bool:
        """Say whether the groups have enough different meanings; a few usually show it."""
        few = groups[: 8 * self._config.size]
        return any(self._meanings(some) >= self._config.size for some in (few, groups))

    def _meanings(self, groups: IntArray) -> int:
        return len(np.unique(self._table.meaning[groups]))

    def _refuse_unused(self) -> None:
        unused = np.flatnonzero(~(self._for_monolingual | self._for_cross_lingual)).tolist()
        if unused:
            raise ConfigError(
                f"no batch would hold {', '.join(self._table.datasets[i] for i in unused)}; name "
                "each data set in batches.monolingual_from or batches.cross_lingual_from, or take "
                "it out of data"
            )

    def _check_languages(self, weights: FloatArray) -> None:
        langs = self._table.langs
        small = np.flatnonzero(weights == 0).tolist()
        skip = self._config.small_languages == "skip" and len(small) < len(langs)
        if not small or skip:
            return
        asked = np.flatnonzero(self._for_monolingual).tolist()
        found = []
        for lang in small:
            groups = (self._pools[dataset].monolingual_groups(lang) for dataset in asked)
            found.append(f"{langs[lang]} ({max(map(self._meanings, groups), default=0)})")
        some = len(small) < len(langs)
        remedies = [
            "reduce batches.size",
            "list other languages",
            *self._naming_more("monolingual_from"),
            f"set batches.{'small_languages: skip' if some else 'regime: cross-lingual'}",
        ]
        raise ConfigError(
            f"a monolingual batch needs {self._config.size} different groups of one language in "
            f"one data set (looked at: {self._asked(self._for_monolingual)}); too few: "
            f"{', '.join(found)}; {_or(remedies)}"
        )

    def _no_cross_lingual_batch(self) -> ConfigError:
        asked = np.flatnonzero(self._for_cross_lingual).tolist()
        groups = (self._pools[dataset].cross_lingual_groups() for dataset in asked)
        most = max(map(self._meanings, groups), default=0)
        remedies = [
            "reduce batches.size",
            "add parallel data",
            *self._naming_more("cross_lingual_from"),
            "set batches.regime: monolingual",
        ]
        return ConfigError(
            f"a cross-lingual batch needs {self._config.size} different groups with a query and a "
            f"passage in different languages in one data set (looked at: "
            f"{self._asked(self._for_cross_lingual)}); the most is {most}; {_or(remedies)}"
        )

    def _asked(self, named: BoolArray) -> str:
        return ", ".join(self._table.datasets[i] for i in np.flatnonzero(named).tolist()) or "none"

    def _naming_more(self, key: str) -> list[str]:
        """Return the remedy of naming more data sets, where that is left to do."""
        names = getattr(self._config, key)
        more = names is not None and len(set(names)) < len(self._table.datasets)
        return [f"name more data sets in batches.{key}"] if more else []


def _or(remedies: Sequence[str]) -> str:
    return f"{', '.join(remedies[:-1])}, or {remedies[-1]}"


def _powers(sizes: IntArray, exponent: float) -> FloatArray:
    """Return sizes to a power, and 0 for size 0 even at exponent 0."""
    return np.where(sizes > 0, np.maximum(sizes, 1).astype(np.float64) ** exponent, 0.0)
