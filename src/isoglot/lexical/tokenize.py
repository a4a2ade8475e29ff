"""Texts to index terms, by the rules of their language.

Two steps. ``split_words`` looks at characters only, so a text in any mixture of scripts is split in
one way: a run of letters, marks and digits is a word; in scripts written without spaces, and in
Korean, whose particles are written onto the noun, words are pairs of neighbouring characters, as in
Lucene's CJKAnalyzer. ``to_terms`` then folds case and stems by the language.

No stop words: their weight is near 0 already, and the lists that exist are for few languages.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import regex

__all__ = ["STEMMERS", "split_words", "to_terms", "tokenize"]

STEMMERS: Mapping[str, str] = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "eo": "esperanto",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "st": "sesotho",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
"""Languages that are stemmed, and the Snowball algorithm. Words of all others stay as they are."""

_DOTLESS_I = ("az", "tr")
"""Languages whose lower case of I is ı; Unicode's case folding does not know languages."""

# The prolonged sound mark of Japanese (30FC) belongs to two scripts and so to neither.
_UNSPACED = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}\u30FC\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}--\p{Nd}]"
)
_START = r"[\p{L}\p{N}--\p{Default_Ignorable_Code_Point}]"
# Python's \w ends a word at a vowel sign of Hindi, Bengali or Telugu. Invisible characters, such as
# soft hyphens and joiners, do not end one either; the zero-width space does.
_INSIDE = r"[\p{L}\p{M}\p{N}\p{Default_Ignorable_Code_Point}--\u200B]"
_RUNS = regex.compile(
    rf"[{_START}&&{_UNSPACED}](?:[{_INSIDE}&&{_UNSPACED}]|[\p{{sc=Inherited}}&&{_INSIDE}])*"
    rf"|[{_START}--{_UNSPACED}][{_INSIDE}--{_UNSPACED}]*",
    regex.V1,
)
_IS_UNSPACED = regex.compile(_UNSPACED, regex.V1)
_CHARACTERS = regex.compile(r"\X")
_INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
_FOREIGN_DIGITS = regex.compile(r"[\p{Nd}--[0-9]]", regex.V1)


def split_words(text: str) -> list[str]:
    """Split a text into words and, where no spaces are written, pairs of characters.

    A character is what a reader sees as one: a letter with its vowel signs and tone marks. One that
    stands alone between others is a word of its own. Case is kept.

    >>> split_words("Der 2. Welt-krieg"), split_words("日本語のBERT")
    (['Der', '2', 'Welt', 'krieg'], ['日本', '本語', '語の', 'BERT'])
    """
    words: list[str] = []
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text)):
        if _IS_UNSPACED.match(run):
            words += _pairs(_CHARACTERS.findall(_INVISIBLE.sub("", run)))
        else:
            words.append(run)
    return words


def to_terms(words: Iterable[str], lang: str) -> list[str]:
    """Turn words into the terms under which a language's index holds them.

    Unicode's case folding for compatibility (NFKC_Casefold), digits of every script as 0-9, and the
    language's Snowball stemmer if there is one (``STEMMERS``).

    Args:
        words: As ``split_words`` returns them.
        lang: Language of the index, whatever language the text is in.

    Returns:
        One term per word.
    """
    folded = [_fold(word, lang) for word in words]
    if lang not in STEMMERS:
        return folded
    import Stemmer

    # No cache (0): callers bring every word once.
    stems = Stemmer.Stemmer(STEMMERS[lang], 0).stemWords(folded)
    # Snowball's Greek leaves nothing of some words (όταν, ίδια), which must not become one term.
    return [stem or word for stem, word in zip(stems, folded, strict=True)]


def tokenize(texts: Sequence[str], lang: str) -> list[list[str]]:
    """Turn texts into index terms.

    Args:
        texts: In any script.
        lang: Language by whose rules, ISO 639-1 or else 639-3. An unknown one has no stemmer.

    Returns:
        The terms of every text, in their order, repeated ones included.

    >>> tokenize(["Häuser am Fluß, 1990"], "de")
    [['haus', 'am', 'fluss', '1990']]
    """
    split = [split_words(text) for text in texts]
    distinct = list(dict.fromkeys(word for words in split for word in words))
    terms = dict(zip(distinct, to_terms(distinct, lang), strict=True))
    return [[terms[word] for word in words] for words in split]


def _pairs(characters: Sequence[str]) -> list[str]:
    return [a + b for a, b in itertools.pairwise(characters)] or list(characters)


def _fold(word: str, lang: str) -> str:
    if lang in _DOTLESS_I:
        word = word.replace("I", "ı")
    if word.isascii():
        return word.lower()
    # Case folding would make two characters of İ, and İstanbul would differ from Istanbul.
    word = _INVISIBLE.sub("", word).replace("İ", "i").casefold()
    word = unicodedata.normalize("NFKC", word)
    folded: str = _FOREIGN_DIGITS.sub(lambda digit: str(unicodedata.decimal(digit[0])), word)
    return folded
