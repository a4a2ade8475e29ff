"""Language codes: one system, clear errors."""

from __future__ import annotations

import pytest

from isoglot.errors import ConfigError
from isoglot.languages import normalize_language, normalize_languages


@pytest.mark.parametrize(
    ("code", "expected"),
    [("sw", "sw"), ("swa", "sw"), ("EN", "en"), ("en_US", "en"), ("zh-Hans", "zh"), ("yor", "yo"),
     ("bem", "bem"), ("iw", "he"), ("und", "und")],
)  # fmt: skip
def test_spellings_map_to_one_code(code, expected):
    assert normalize_language(code) == expected


@pytest.mark.parametrize("code", ["xx", "klingon", "", " en", "12"])
def test_what_is_no_language_is_refused_with_its_place(code):
    with pytest.raises(ConfigError, match=r"data.jsonl:3: unknown language .*ISO 639-1"):
        normalize_language(code, "data.jsonl:3")


def test_a_list_keeps_its_order_and_drops_repeats():
    assert normalize_languages(["sw", "en", "swa"]) == ("sw", "en")
