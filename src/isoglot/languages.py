"""Language codes: one system everywhere, ISO 639-1 where it exists and else ISO 639-3.

Other spellings (``swa``, ``en_US``, ``zh-Hans``) are mapped when they are read; ``langcodes`` knows
the codes.
"""

from __future__ import annotations

from collections.abc import Iterable

import langcodes

from isoglot.errors import ConfigError

__all__ = [
    "ALL_LANGUAGES",
    "LOW_RESOURCE",
    "UNDETERMINED",
    "normalize_language",
    "normalize_languages",
]

ALL_LANGUAGES = "*"
"""Stands for the pool of all languages in tables."""
UNDETERMINED = "und"
"""ISO 639's code for a text whose language is not known."""
LOW_RESOURCE = ("yo", "sw", "bn", "hi", "te", "th", "bem", "fon", "ha", "ig", "rw", "tw", "zu")
"""The languages of MIRACL with less than a million passages, smallest corpus first, and the African
languages of AfriQA (arXiv 2305.06897)."""


def normalize_language(code: str, where: str = "") -> str:
    """Return the project's code for a language.

    Args:
        code: ISO 639-1, 639-3 or a BCP 47 tag, whose language part is kept; or `UNDETERMINED`.
        where: Place to name in the error, such as ``file.jsonl:12``.

    Raises:
        ConfigError: If the code names no language.

    >>> normalize_language("swa"), normalize_language("zh-Hans"), normalize_language("bem")
    ('sw', 'zh', 'bem')
    """
    if code == UNDETERMINED:
        return code
    try:
        language = langcodes.Language.get(code)
    except (ValueError, AttributeError):
        language = None
    if language is None or not language.language or not language.is_valid():
        place = f"{where}: " if where else ""
        raise ConfigError(
            f"{place}unknown language {code!r}; use an ISO 639-1 code such as 'sw', "
            "or ISO 639-3 where there is none, such as 'bem'"
        )
    return str(language.language)


def normalize_languages(codes: Iterable[str], where: str = "") -> tuple[str, ...]:
    """Normalize several codes, in their order, each once."""
    return tuple(dict.fromkeys(normalize_language(code, where) for code in codes))
