"""The embedded collection: how it is loaded, and what every text of it must be."""

import math
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from isoglot.data import mini
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.groups import groups_to_collection, read_groups
from isoglot.data.leakage import find_leaks
from isoglot.data.shingles import to_letters
from isoglot.errors import ConfigError
from tests.data.builders import write_jsonl

LANGS = ("ar", "bn", "de", "en", "es", "hi", "sw", "te", "th", "tr", "yo", "zh")
SCRIPTS = {
    "ar": "ARABIC",
    "bn": "BENGALI",
    "hi": "DEVANAGARI",
    "te": "TELUGU",
    "th": "THAI",
    "zh": "CJK",
}
"""First word of the Unicode name of every letter; other languages write Latin ones."""
COMMON_WORDS = {"de": "und", "en": "the", "es": "el", "sw": "kwa", "tr": "bir", "yo": "máa"}
"""For each language in Latin letters, a word that is frequent in it alone."""
QUESTION_MARKS = {"ar": "؟", "zh": "？"}
FULL_STOPS = {"bn": "।", "hi": "।", "zh": "。"}
YORUBA_MARKS = {
    "\N{COMBINING GRAVE ACCENT}",
    "\N{COMBINING ACUTE ACCENT}",
    "\N{COMBINING DOT BELOW}",
}
PHRASE_LETTERS = 12
"""A shorter sentence or Thai phrase may come up twice: "in the year 1900"."""

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "data.md"


class Text(NamedTuple):
    group_id: str
    side: str
    lang: str
    text: str


@pytest.fixture
def two_groups(tmp_path, monkeypatch):
    row = {"query": {"en": "q", "sw": "s"}, "passage": {"en": "p", "sw": "t"}}
    rows = [{"id": "1", "split": "train", **row}, {"id": "2", "split": "evaluation", **row}]
    path = write_jsonl(tmp_path / "groups.jsonl", rows)
    monkeypatch.setattr(mini, "_resource", lambda: path)


@pytest.fixture(scope="module")
def splits():
    return {split: mini.load_mini_groups(split) for split in mini.MINI_SPLITS}


@pytest.fixture(scope="module")
def groups(splits):
    return [group for split in mini.MINI_SPLITS for group in splits[split]]


@pytest.fixture(scope="module")
def texts(groups):
    """By language, all texts of the collection."""
    return {
        lang: [
            Text(group.group_id, side, lang, getattr(group, side)[lang])
            for group in groups
            for side in ("query", "passage")
        ]
        for lang in LANGS
    }


@pytest.fixture(scope="module")
def run_counts(texts):
    """For each language in Latin letters, how many of its texts have a run of letters."""
    return {
        lang: Counter(run for text in texts[lang] for run in runs(text.text))
        for lang in COMMON_WORDS
    }


def runs(text):
    """Return the runs of three characters, word borders included."""
    padded = f" {text.casefold()} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def letters(text):
    """Return what the audit compares: letters, marks and digits, case-folded."""
    return "".join(map(chr, to_letters([text]).codes))


def sentences(text, lang):
    """Return the sentences; in Thai, which marks none, the phrases between spaces."""
    if lang == "th":
        return text.split()
    mark = re.escape(FULL_STOPS.get(lang, ".") + question_mark(lang))
    return [part for part in re.split(rf"(?<=[{mark}]){'' if lang == 'zh' else ' '}", text) if part]


def question_mark(lang):
    return QUESTION_MARKS.get(lang, "?")


def test_splits(two_groups):
    assert [group.group_id for group in mini.load_mini_groups("train")] == ["1"]
    assert [group.group_id for group in mini.load_mini_groups("evaluation")] == ["2"]
    with pytest.raises(ConfigError, match="mini has no split 'dev'; allowed: train, evaluation"):
        mini.load_mini_groups("dev")


def test_benchmark(two_groups):
    collection = load_benchmark("mini")
    assert (collection.name, len(collection.qrels)) == ("mini", 4)
    assert collection.options == {"split": "evaluation"}
    assert list(collection.sources) == ["groups.jsonl"]
    assert load_benchmark("mini:sw").query_langs == ("sw",)
    assert load_benchmark("mini", split="train").queries[0].query_id == "1"


def test_what_comes_with_the_package(splits, groups):
    assert len(groups) >= 120
    assert list(read_groups(mini._resource())) == groups, "every group is of a split, train first"
    collection = load_benchmark("mini")
    assert collection.query_langs == collection.passage_langs == LANGS
    assert (
        len(collection.queries)
        == len(collection.passages)
        == len(LANGS) * len(splits["evaluation"])
    )


def test_its_sizes_are_documented(splits, groups):
    train, evaluation = (len(splits[split]) for split in mini.MINI_SPLITS)
    (line,) = re.findall(r"^\| `mini` \|.*$", DOCUMENTATION.read_text("utf-8"), re.MULTILINE)
    assert f"{len(groups)} parallel groups in 12 languages ({' '.join(LANGS)})" in line
    assert f"`train` has {train}, split `evaluation` the {evaluation} " in line
    assert f"{len(groups)} parallel groups in 12 languages" in mini.__doc__
    assert f"{train} are to train on, {evaluation} to evaluate" in mini.__doc__


def test_every_group_has_all_languages_on_both_sides(groups):
    for group in groups:
        assert sorted(group.query) == sorted(group.passage) == list(LANGS), group.group_id
        assert not group.negatives, group.group_id


def test_ids_are_unique_kebab_case(groups):
    ids = [group.group_id for group in groups]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)] == []


def test_no_two_texts_are_equal(texts):
    counts = Counter(letters(text.text) for lang in LANGS for text in texts[lang])
    assert [text for text, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("lang", LANGS)
def test_texts_are_nfc_without_stray_spaces(lang, texts):
    for text in texts[lang]:
        assert text.text == " ".join(unicodedata.normalize("NFC", text.text).split()), text


@pytest.mark.parametrize("lang", LANGS)
def test_every_letter_is_of_the_script_of_the_language(lang, texts):
    # Yoruba letters with two marks have no single character; the second mark stays combining.
    script = (SCRIPTS.get(lang, "LATIN"), *(["COMBINING"] if lang == "yo" else []))
    for text in texts[lang]:
        found = {letter for letter in text.text if unicodedata.category(letter)[0] in "LM"}
        assert found, text
        wrong = [letter for letter in found if not unicodedata.name(letter).startswith(script)]
        assert not wrong, text


@pytest.mark.parametrize("lang", COMMON_WORDS)
def test_texts_in_latin_letters_are_in_their_language(lang, texts, run_counts):
    """Each is most like the other texts of its language, and these are what they should be."""
    words = Counter(word for text in texts[lang] for word in text.text.casefold().split())
    assert COMMON_WORDS[lang] in [word for word, _ in words.most_common(6)]
    for text in texts[lang]:
        likeness = {
            other: sum(math.log1p(counts[run] - (other == lang)) for run in runs(text.text))
            for other, counts in run_counts.items()
        }
        assert max(likeness, key=likeness.__getitem__) == lang, text


def test_yoruba_texts_carry_tone_marks_and_dots(texts):
    for text in texts["yo"]:
        words = unicodedata.normalize("NFD", text.text).split()
        assert sum(not YORUBA_MARKS.isdisjoint(word) for word in words) > len(words) / 3, text


@pytest.mark.parametrize("lang", LANGS)
def test_questions_are_one_sentence_with_a_question_mark(lang, texts):
    for text in texts[lang]:
        marks = [mark for mark in text.text if mark in "?？؟"]
        if text.side == "passage" or lang == "th":
            assert not marks, text
        else:
            assert marks == [question_mark(lang)] and text.text.endswith(marks[0]), text
            assert len(sentences(text.text, lang)) == 1, text
            assert ("¿" in text.text) == (lang == "es"), text


@pytest.mark.parametrize("lang", [lang for lang in LANGS if lang != "th"])
def test_passages_are_two_or_three_sentences(lang, texts):
    for text in texts[lang]:
        if text.side == "passage":
            assert text.text.endswith(FULL_STOPS.get(lang, ".")), text
            assert len(sentences(text.text, lang)) in (2, 3), text


@pytest.mark.parametrize("lang", LANGS)
def test_question_and_passage_share_no_sentence(lang, groups):
    for group in groups:
        query, passage = group.query[lang], group.passage[lang]
        for text, other in ((query, passage), (passage, query)):
            for part in map(letters, sentences(text, lang)):
                assert len(part) < PHRASE_LETTERS or part not in letters(other), group.group_id


@pytest.mark.parametrize(("read", "looked_for"), [mini.MINI_SPLITS, mini.MINI_SPLITS[::-1]])
def test_the_splits_share_no_text(read, looked_for, splits):
    benchmark = groups_to_collection(splits[looked_for], looked_for)
    (report,) = find_leaks([(read, splits[read])], [benchmark])
    assert report.leaks == []


@pytest.mark.parametrize("name", ["xquad-r", pytest.param("miracl-mini", marks=pytest.mark.slow)])
def test_it_holds_no_text_of_a_benchmark(name, groups, shared_data):
    if not (shared_data / name).is_dir():
        pytest.skip(f"no {name} in {shared_data}")
    benchmark = load_benchmark(name, data_dir=shared_data)
    (report,) = find_leaks([("mini", groups)], [benchmark])
    assert report.leaks == []
