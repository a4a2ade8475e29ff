"""Tell the language of a text, with py3langid: 139 languages, a model of 4.6 MB in its package.

It was chosen by measurement (docs/corpora.md). What it tells apart more finely than corpora are
labelled is folded: written varieties of Arabic, Chinese and others count as the language.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import langcodes

from isoglot.errors import ConfigError
from isoglot.languages import UNDETERMINED, normalize_language

__all__ = ["CLEAR", "Detection", "Detector", "fold_variety", "package_version"]

LEAST = 0.3
"""Confidence below which a language counts as not told: of passages and sentences in languages that
the detector knows, at most 0.7 % (docs/corpora.md)."""
CLEAR = 0.6
"""Confidence from which a stated language is contradicted: of right ones, at most 0.3 % are."""
_BYTES = 500
"""Of a text in UTF-8, looked at: time grows with bytes, and fewer tell passages less well."""
_ABOVE_CHANCE = 1.5
"""Times chance: a text that says nothing looks like all languages to the same degree."""
_NO_LANGUAGE = "zxx"
_VARIETIES = {  # besides those that ISO 639 puts under a macrolanguage and langcodes knows
    "ary": "ar",
    "arz": "ar",
    "fuv": "ff",
    "hbo": "he",
    "nb": "no",
    "sdh": "ku",
    "uzs": "uz",
    "wuu": "zh",
    "yue": "zh",
}


class Detection(NamedTuple):
    """What a text looks like."""

    lang: str
    """The language, or ``und``."""
    confidence: float
    """0 to 1; the detector's probability of the language, made to suit the text's length."""


class Detector:
    """Tells languages; its model is loaded at the first text, in about half a second."""

    def __init__(self, among: Sequence[str] = ()) -> None:
        """Prepare for texts.

        Args:
            among: The only languages that may be told; default: all that are known.

        Raises:
            ConfigError: If one of them is not known, or py3langid is not installed.
        """
        self._among = {fold_variety(lang) for lang in among}
        if unknown := sorted(self._among and self._among - self.langs):
            raise ConfigError(
                f"language {unknown[0]!r} cannot be detected; those that can are "
                f"{', '.join(sorted(self.langs))}"
            )

    @cached_property
    def langs(self) -> frozenset[str]:
        """Languages that are known."""
        return frozenset(_load_model()[2]) - {_NO_LANGUAGE}

    def detect(self, text: str) -> Detection:
        """Tell the language of a text by its beginning."""
        lang, confidence = self._identifier.classify(text[:_BYTES].encode()[:_BYTES])
        if confidence < self._least or lang == _NO_LANGUAGE:
            return Detection(UNDETERMINED, confidence)
        return Detection(lang, confidence)

    @cached_property
    def _least(self) -> float:
        """Confidence below which a language is not told; well above chance among few."""
        return max(LEAST, _ABOVE_CHANCE / (len(self._among or self.langs) + 1))

    @cached_property
    def _identifier(self) -> Any:  # noqa: ANN401 - py3langid has no types
        weights, priors, langs, moves, rows, features = _load_model()
        from py3langid.langid import LanguageIdentifier

        identifier = LanguageIdentifier(
            weights, priors, langs, moves, features, norm_probs=True, tk_row=rows
        )
        if self._among:
            identifier.set_languages([*self._among, _NO_LANGUAGE])
        return identifier


@lru_cache(maxsize=1024)
def fold_variety(lang: str) -> str:
    """Return the language whose variety ``lang`` is, or ``lang``.

    >>> fold_variety("arz"), fold_variety("swh"), fold_variety("ar")
    ('ar', 'sw', 'ar')
    """
    macrolanguage = langcodes.Language.get(lang).prefer_macrolanguage().language
    return _VARIETIES.get(lang, str(macrolanguage))


def package_version() -> str:
    """Return the detector's name and version, on which detected languages depend."""
    from importlib import metadata

    try:
        return f"py3langid {metadata.version('py3langid')}"
    except metadata.PackageNotFoundError:
        return "none"


@lru_cache(maxsize=1)
def _load_model() -> tuple[Any, ...]:
    """Return py3langid's model with our codes: it adds up what it gives to equal ones."""
    try:
        from py3langid.langid import MODEL_DIR, MODEL_FILE
        from py3langid.modelio import load_model
    except ImportError as error:
        raise ConfigError(
            "telling languages needs py3langid, which is not installed; pip install "
            "'isoglot[search]', or state them: a column 'lang', or one language for all passages"
        ) from error
    weights, priors, labels, *rest = load_model(MODEL_DIR / MODEL_FILE)
    langs = [_NO_LANGUAGE if x == _NO_LANGUAGE else _language(x) for x in labels]
    return (weights, priors, langs, *rest)


def _language(label: str) -> str:
    return fold_variety(normalize_language(label))
