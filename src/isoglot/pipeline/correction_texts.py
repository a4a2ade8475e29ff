"""The texts that a correction is learned from, drawn from parallel groups."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoglot.config.correction import CorrectionConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.errors import ConfigError, DataError

__all__ = ["FEWEST_TEXTS", "CorrectionTexts", "TranslationGroups", "draw_groups", "draw_texts"]

FEWEST_TEXTS = 20
"""Different texts of a language below which its mean says more of their topics than of it."""
_HELD_OUT = 500
"""Texts of a language by which the detection is measured, at most a tenth of those there are."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CorrectionTexts:
    """Different texts by language, in the order of the languages' codes."""

    fitted: Mapping[str, Sequence[str]]
    """To learn from."""
    references: Mapping[str, Sequence[str]]
    """``shift`` only: the translations of these in the reference language."""
    held_out: Mapping[str, Sequence[str]]
    """Others, to measure the detection of languages by."""


def draw_texts(table: ParallelTable, config: CorrectionConfig) -> CorrectionTexts:
    """Draw the texts of each language at random; what is drawn of one depends on no other.

    Args:
        table: The groups; their passages are used.
        config: How many, and of which languages.

    Raises:
        ConfigError: If a language has no text.
        DataError: If one has too few, or too few translations.
    """
    langs = _languages(table, config)
    fitted, references, held_out = {}, {}, {}
    few: dict[str, int] = {}
    for lang in langs:
        pairs = _candidates(table, config, lang)
        if len(pairs) < FEWEST_TEXTS:
            few[lang] = len(pairs)
            continue
        seed = (config.seed, zlib.crc32(lang.encode()))
        pairs = np.random.default_rng(seed).permutation(pairs)
        held = min(_HELD_OUT, len(pairs) // 10)
        drawn = pairs[held : held + config.texts_per_language]
        held_out[lang] = _texts(table, pairs[:held, 0])
        fitted[lang] = _texts(table, drawn[:, 0])
        if config.method == "shift":
            references[lang] = _texts(table, drawn[:, 1])
    if few:
        raise DataError(_too_few(few, langs, config))
    return CorrectionTexts(fitted, references, held_out)


@dataclass(frozen=True)
class TranslationGroups:
    """Texts of one data set that say the same, several by several."""

    texts: Sequence[str]
    langs: Sequence[str]
    group: Rows
    """(texts,) 0 upward: which of them are translations of each other."""


def draw_groups(table: ParallelTable, config: CorrectionConfig) -> list[TranslationGroups]:
    """Draw groups with texts in two languages or more, of each data set that has enough of them.

    Args:
        table: The groups; their passages are used.
        config: How many, and of which languages.

    Raises:
        ConfigError: If a language has no text.
        DataError: If no data set has enough translations.
    """
    langs = _languages(table, config)
    cells = table.passage[:, [table.langs.index(lang) for lang in langs]]
    many = (cells != ABSENT).sum(axis=1) > 1
    drawn = []
    for dataset, name in enumerate(table.datasets):
        groups = np.flatnonzero(many & (table.dataset == dataset))
        if len(groups) < FEWEST_TEXTS:
            continue
        seed = (config.seed, zlib.crc32(name.encode()))
        chosen = np.random.default_rng(seed).permutation(groups)[: config.texts_per_language]
        group, lang = np.nonzero(cells[chosen] != ABSENT)
        texts = _texts(table, cells[chosen][group, lang])
        drawn.append(TranslationGroups(texts, [langs[i] for i in lang], group))
    if not drawn:
        raise DataError(
            f"correction.data: no data set has {FEWEST_TEXTS} groups with texts in two of the "
            f"languages {', '.join(langs)}; add translations"
        )
    return drawn


def _languages(table: ParallelTable, config: CorrectionConfig) -> list[str]:
    """Return the languages to learn from."""
    have = [lang for lang, rows in _by_language(table) if (rows != ABSENT).any()]
    wanted = config.languages or have
    needed = [*wanted, config.lang] if config.method == "shift" else wanted
    if missing := sorted(set(needed) - set(have)):
        key = "lang" if missing == [config.lang] and config.method == "shift" else "languages"
        raise ConfigError(
            f"correction.{key}: no text in {', '.join(missing)}; the data has {', '.join(have)}"
        )
    return sorted(set(needed))


def _by_language(table: ParallelTable) -> Iterator[tuple[str, Rows]]:
    for position, lang in enumerate(table.langs):
        yield lang, table.passage[:, position]


def _candidates(table: ParallelTable, config: CorrectionConfig, lang: str) -> Rows:
    """Return rows of different texts and, for ``shift``, of their translations: (texts, 1 or 2)."""
    columns = [table.langs.index(lang)]
    if config.method == "shift":
        columns.append(table.langs.index(config.lang))
    rows = np.stack([table.passage[:, column] for column in columns], axis=1)
    return np.unique(rows[(rows != ABSENT).all(axis=1)], axis=0)


def _texts(table: ParallelTable, rows: Rows) -> list[str]:
    return [str(text) for text in table.texts.take(rows).to_pylist()]


def _too_few(few: Mapping[str, int], langs: Sequence[str], config: CorrectionConfig) -> str:
    counts = ", ".join(f"{lang} {count}" for lang, count in few.items())
    what = f"pairs with {config.lang}" if config.method == "shift" else "different texts"
    enough = [lang for lang in langs if lang not in few]
    advice = f", or set correction.languages to {', '.join(enough)}" if len(enough) > 1 else ""
    return (
        f"correction.data: too few {what}: {counts}; {FEWEST_TEXTS} are needed in each language; "
        f"add data{advice}"
    )
