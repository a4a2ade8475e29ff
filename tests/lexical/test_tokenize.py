"""Words by characters, terms by language."""

import unicodedata

import pytest
import Stemmer
from hypothesis import given, settings
from hypothesis import strategies as st

from isoglot.lexical import STEMMERS, tokenize
from isoglot.lexical.tokenize import split_words, to_terms


@pytest.mark.parametrize(
    "text", ["नई दिल्ली में", "বাংলাদেশের রাজধানী", "వ్యక్తి పేరు", "كِتَابٌ جديد", "Bá a ṣe ń ṣe é"]
)
def test_vowel_signs_and_tone_marks_stay_inside_their_word(text):
    assert split_words(text) == unicodedata.normalize("NFKC", text).split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't l'eau Ankara'nın", ["don", "t", "l", "eau", "Ankara", "nın"]),
        ("snake_case, Welt-krieg; 3.14", ["snake", "case", "Welt", "krieg", "3", "14"]),
        ("covid19 B2B", ["covid19", "B2B"]),
        ("❤️ ok 🇩🇪!", ["ok"]),
        ("?!", []),
        ("", []),
        ("\u3164", []),  # a letter to Unicode, and invisible
    ],
)
def test_everything_but_letters_marks_and_digits_ends_a_word(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("研究生命", ["研究", "究生", "生命"]),
        ("東京タワーへ", ["東京", "京タ", "タワ", "ワー", "ーへ"]),
        ("서울은", ["서울", "울은"]),
        ("กรุง", ["กรุ", "รุง"]),  # r and the vowel sign below it are one character
        ("ລາວ", ["ລາ", "າວ"]),
        ("ភាសា។", ["ភាសា"]),  # two characters, then a full stop
        ("မြန်မာ", ["မြန်", "န်မ", "မာ"]),
    ],
)
def test_scripts_without_spaces_and_korean_give_pairs_of_characters(text, pairs):
    assert split_words(text) == pairs


@pytest.mark.parametrize("lang", ["zh", "vi", "sw"])
def test_the_script_decides_about_pairs_and_not_the_language(lang):
    expected = ["google", "在", "1998", "年成", "成立"]
    assert tokenize(["Google在1998年成立。"], lang) == [expected]


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("ＡＢＣ①", "abc1"),  # full width and circled
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ΟΔΌΣ", "οδόσ"),
        ("οδός", "οδόσ"),
        ("१९९०", "1990"),
        ("১৯৯০", "1990"),
        ("๑๙๙๐", "1990"),
        ("۱۹۹۰", "1990"),
        ("co\u00adope\u200drate", "cooperate"),  # soft hyphen, zero-width joiner
        ("می\u200cخواهم", "میخواهم"),
        ("İstanbul", "istanbul"),
        ("IMF", "imf"),
    ],
)
def test_spellings_of_one_word_become_one_term(word, term):
    assert tokenize([word], "sw") == [[term]]


def test_the_zero_width_space_ends_a_word():
    assert split_words("one\u200btwo") == ["one", "two"]


def test_digits_in_a_script_without_spaces_are_a_number():
    assert tokenize(["พ.ศ. ๒๕๓๔"], "th") == [["พ", "ศ", "2534"]]


@pytest.mark.parametrize("lang", ["tr", "az"])
def test_turkish_and_azerbaijani_have_two_letters_i(lang):
    assert to_terms(["IŞIK", "İZ"], lang) == ["ışık", "iz"]


@pytest.mark.parametrize(
    ("lang", "forms"),
    [
        ("ar", ["كتاب", "الكتاب", "كِتَابٌ"]),
        ("de", ["Haus", "Häuser"]),
        ("el", ["άνθρωπος", "ανθρώπους"]),
        ("en", ["house", "Houses", "housing"]),
        ("es", ["niño", "niños"]),
        ("fa", ["کتاب", "کتاب‌ها"]),
        ("fi", ["talo", "talossa"]),
        ("fr", ["cheval", "chevaux"]),
        ("hi", ["लड़की", "लड़कियों"]),
        ("id", ["makan", "makanan"]),
        ("ru", ["ёлка", "елками"]),
        ("tr", ["kitap", "kitaplarım"]),
    ],
)
def test_forms_of_a_word_become_one_term(lang, forms):
    assert len(set(to_terms(forms, lang))) == 1


@pytest.mark.parametrize("lang", ["bn", "ja", "ko", "sw", "te", "th", "vi", "yo", "zh"])
def test_languages_without_a_stemmer_keep_their_words(lang):
    assert to_terms(["Houses", "kitaplarım"], lang) == ["houses", "kitaplarım"]


def test_every_snowball_algorithm_is_used_but_older_variants():
    assert set(STEMMERS.values()) == set(Stemmer.algorithms()) - {"porter", "dutch_porter"}


def test_a_word_of_which_the_stemmer_leaves_nothing_stays():
    assert Stemmer.Stemmer("greek").stemWord("όταν") == ""
    assert to_terms(["όταν", "ίδια"], "el") == ["όταν", "ίδια"]


@settings(deadline=None, max_examples=60)
@given(text=st.text(), lang=st.sampled_from([*STEMMERS, "zh", "th", "sw"]))
def test_any_text_gives_terms_that_are_not_empty(text, lang):
    assert all(tokenize([text], lang)[0])


@settings(deadline=None)
@given(st.text())
def test_composed_and_decomposed_spellings_give_the_same_terms(text):
    decomposed = unicodedata.normalize("NFD", text)
    assert tokenize([decomposed], "de") == tokenize([text], "de")


def test_texts_keep_their_order_and_their_repeated_terms():
    assert tokenize(["b a b", "", "c a"], "sw") == [["b", "a", "b"], [], ["c", "a"]]
    assert tokenize([], "sw") == []
