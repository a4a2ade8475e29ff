"""Names and directions of languages, for people who do not know the codes by heart."""

from __future__ import annotations

import langcodes

from isoglot.languages import ALL_LANGUAGES

__all__ = ["language_name", "text_direction"]

# langcodes has names only with a package of several megabytes; these are the languages of the
# benchmarks and of the embedded encoder, and their neighbours.
_NAMES = dict(
    pair.split(" ", 1)
    for pair in (
        "af Afrikaans|am Amharic|ar Arabic|as Assamese|az Azerbaijani|be Belarusian|bem Bemba|"
        "bg Bulgarian|bn Bengali|bs Bosnian|ca Catalan|cs Czech|cy Welsh|da Danish|de German|"
        "el Greek|en English|es Spanish|et Estonian|eu Basque|fa Persian|fi Finnish|fon Fon|"
        "fr French|ga Irish|gl Galician|gu Gujarati|ha Hausa|he Hebrew|hi Hindi|hr Croatian|"
        "hu Hungarian|hy Armenian|id Indonesian|ig Igbo|is Icelandic|it Italian|ja Japanese|"
        "jv Javanese|ka Georgian|kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish|ky Kyrgyz|"
        "lo Lao|lt Lithuanian|lv Latvian|mg Malagasy|mk Macedonian|ml Malayalam|mn Mongolian|"
        "mr Marathi|ms Malay|mt Maltese|my Burmese|ne Nepali|nl Dutch|no Norwegian|ny Nyanja|"
        "om Oromo|or Odia|pa Punjabi|pl Polish|ps Pashto|pt Portuguese|qu Quechua|ro Romanian|"
        "ru Russian|rw Kinyarwanda|sd Sindhi|si Sinhala|sk Slovak|sl Slovenian|sn Shona|so Somali|"
        "sq Albanian|sr Serbian|st Sotho|su Sundanese|sv Swedish|sw Swahili|ta Tamil|te Telugu|"
        "tg Tajik|th Thai|ti Tigrinya|tl Tagalog|tr Turkish|tw Twi|ug Uyghur|uk Ukrainian|ur Urdu|"
        "und Unknown|"
        "uz Uzbek|vi Vietnamese|wo Wolof|xh Xhosa|yi Yiddish|yo Yoruba|zh Chinese|zu Zulu"
    ).split("|")
)
_RIGHT_TO_LEFT = {"Adlm", "Arab", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"}


def language_name(code: str) -> str:
    """Return the English name of a language, or its code where the name is not known.

    >>> language_name("sw"), language_name("*"), language_name("xyz")
    ('Swahili', 'all languages', 'xyz')
    """
    return "all languages" if code == ALL_LANGUAGES else _NAMES.get(code, code)


def text_direction(code: str) -> str:
    """Return ``rtl`` or ``ltr``: how the usual script of a language is written.

    >>> text_direction("ur"), text_direction("ja")
    ('rtl', 'ltr')
    """
    script = langcodes.Language.get(code).maximize().script
    return "rtl" if script in _RIGHT_TO_LEFT else "ltr"
