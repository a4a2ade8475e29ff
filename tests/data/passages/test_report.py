"""What is said of languages: counted by hand over a few rows."""

import json

import pytest

from isoglot.data.passages import LanguageReport, PassageOptions, read_passages, reading
from tests.data.builders import write_jsonl

pytest.importorskip("py3langid")

ENGLISH = "The law of gravity says that all bodies attract each other with a force."
GERMAN = "Das Gesetz der Schwerkraft besagt, dass sich alle Körper gegenseitig anziehen."
SWAHILI = "Kiswahili ni lugha ya Kibantu inayozungumzwa katika Afrika ya Mashariki."
ROWS = [
    {"id": "a", "text": ENGLISH, "lang": "en"},
    {"id": "b", "text": GERMAN, "lang": "en"},  # wrong
    {"id": "c", "text": SWAHILI, "lang": "swh"},  # another code for sw
    {"id": "d", "text": "Icibemba lulimi lwa bantu", "lang": "bem"},  # not known to the detector
    {"id": "e", "text": SWAHILI},
    {"id": "f", "text": "1994"},
    {"id": "g", "text": "1994", "lang": "de"},  # too little to speak against it
]


def read(tmp_path, rows=ROWS, **options):
    report = LanguageReport()
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    return list(read_passages(str(path), PassageOptions(**options), report)), report


def langs(passages):
    return {passage.doc_id: passage.lang for passage in passages}


STATED = {"a": "en", "b": "en", "c": "swh", "d": "bem", "g": "de"}


def test_stated_languages_are_checked_and_kept(tmp_path):
    passages, report = read(tmp_path, check=True)
    assert langs(passages) == {**STATED, "e": "sw", "f": "und"}
    assert report.checked == {"en": 2, "swh": 1, "de": 1}
    assert report.doubts == {"en": {"de": 1}}
    assert report.not_checkable == ("bem",)
    assert (report.detected, report.undetermined, report.replaced) == (1, 1, 0)
    assert report.lines() == [
        "7 passages in 6 languages: en 2, bem 1, de 1, sw 1, swh 1, und 1",
        "language not stated and detected: 1 (sw 1)",
        "language not stated and not to be told: 1, kept under 'und'",
        "stated languages checked: 4 passages",
        "stated en: 1 of 2 checked (50.0%) look like another language: de 1; for example b de",
        "stated languages that cannot be checked: bem",
    ]


def test_nothing_is_checked_unless_it_is_asked_for(tmp_path):
    passages, report = read(tmp_path)
    assert langs(passages) == {**STATED, "e": "sw", "f": "und"}
    assert (report.checked, report.doubts, report.not_checkable) == ({}, {}, ())


def test_stated_languages_are_replaced_only_when_that_is_asked_for(tmp_path):
    passages, report = read(tmp_path, check=True, check_share=1, replace_stated=True)
    assert langs(passages) == {**STATED, "b": "de", "e": "sw", "f": "und"}
    assert report.passages == {"bem": 1, "de": 2, "en": 1, "sw": 1, "swh": 1, "und": 1}
    assert "stated languages replaced by the detected ones: 1 passages" in report.lines()


def test_a_choice_of_languages_is_for_detection_not_for_the_check(tmp_path):
    passages, report = read(tmp_path, check=True, detect_among=("en", "swa"))
    assert langs(passages)["e"] == "sw"
    assert report.doubts == {"en": {"de": 1}}


def test_a_check_takes_all_at_first_and_then_a_share(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_ALWAYS_CHECKED", 5)
    rows = [{"id": str(n), "text": ENGLISH, "lang": ("en", "de")[n % 2]} for n in range(210)]
    # Of 105 of each language the first 5, and of 100 later ones every tenth.
    assert read(tmp_path, rows, check=True, check_share=0.1)[1].checked == {"en": 15, "de": 15}
    assert read(tmp_path, rows, check=True, check_share=0)[1].checked == {"en": 5, "de": 5}
    report = read(tmp_path, rows, check=True, check_share=1)[1]
    assert report.checked == {"en": 105, "de": 105}
    assert report.doubts == {"de": {"en": 105}}
    assert [doubt.doc_id for doubt in report.examples["de"]] == ["1", "3", "5"]


def test_a_report_survives_json(tmp_path):
    rows = [*ROWS, {"id": "h", "text": "", "lang": "en"}]
    _, report = read(tmp_path, rows, check=True)
    assert LanguageReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert report.to_dict()["passages"] == report.passages
    (doubt,) = report.to_dict()["examples"]["en"]
    assert (doubt["doc_id"], doubt["detected"]) == ("b", "de") and doubt["confidence"] > 0.6
    with pytest.raises(TypeError):
        LanguageReport.from_dict({"examples": {}, "not_checkable": (), "other": 1})


def test_real_passages_in_english_are_found_in_a_yoruba_corpus(shared_data):
    report = LanguageReport()
    options = PassageOptions(check=True, lang="yo", check_share=0)
    for _ in read_passages(str(shared_data / "miracl-mini" / "yo"), options, report):
        pass
    assert report.known_by == {"yo": {"option": 2647}} and report.checked == {"yo": 1000}
    assert 5 <= report.doubts["yo"]["en"] <= 20
