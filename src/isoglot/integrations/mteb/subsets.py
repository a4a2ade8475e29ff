"""The names of subsets, and language codes as MTEB writes them."""

from __future__ import annotations

import langcodes

from isoglot.errors import ConfigError

__all__ = ["ALL", "langscript", "setting_of", "split_subset"]

ALL = "all"
"""Stands for the pool of all languages: ``sw-all``."""

_MTEB_SCRIPTS = {"ko": "Hang"}
"""Where MTEB's custom differs from Unicode's likely script (Kore)."""


def split_subset(subset: str) -> tuple[str, str]:
    """Return query language and passage language, or ``all``.

    Raises:
        ConfigError: If it is not the name of such a subset.
    """
    query_lang, dash, passage_lang = subset.partition("-")
    if not dash:
        raise ConfigError(f"subset {subset!r} is not of a mixed-pool task; expected one as en-all")
    return query_lang, passage_lang


def setting_of(subset: str) -> str:
    """Return the setting of a subset.

    Raises:
        ConfigError: If it is not the name of such a subset.

    >>> setting_of("en-en"), setting_of("en-de"), setting_of("en-all")
    ('monolingual', 'cross-lingual', 'multilingual')
    """
    query_lang, passage_lang = split_subset(subset)
    if passage_lang == ALL:
        return "multilingual"
    return "monolingual" if query_lang == passage_lang else "cross-lingual"


def langscript(lang: str) -> str:
    """Return a language in ISO 639-3 with the script it is usually written in, in ISO 15924.

    >>> langscript("sw"), langscript("zh"), langscript("el")
    ('swa-Latn', 'zho-Hans', 'ell-Grek')
    """
    language = langcodes.Language.get(lang)
    script = _MTEB_SCRIPTS.get(lang) or language.maximize().script
    return f"{language.to_alpha3()}-{script}"
