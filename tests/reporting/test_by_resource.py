"""Languages are grouped by the size of their corpus, and settings averaged within groups."""

import json

import pytest

from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import SettingRow
from isoglot.reporting.by_resource import (
    group_languages,
    resource_table,
    summarize_by_resource,
)

SIZES = {"sw": 10, "te": 20, "fi": 100, "en": 1000}


def row(setting, query_lang, passage_lang, value, measure="AP"):
    return SettingRow(setting, query_lang, passage_lang, measure, value, 3)


# low: sw te; medium: fi; high: en
ROWS = [
    row("monolingual", "sw", "sw", 0.2),
    row("monolingual", "te", "te", 0.4),
    row("monolingual", "fi", "fi", 0.5),
    row("monolingual", "en", "en", 0.9),
    row("monolingual", "en", "en", 1.0, "R@100"),
    row("cross-lingual", "sw", "en", 0.1),
    row("cross-lingual", "te", "en", 0.2),
    row("cross-lingual", "sw", "te", 0.5),
    row("cross-lingual", "en", "sw", 0.3),
    row("multilingual", "sw", "*", 0.2),
    row("multilingual", "en", "*", 0.7),
]
BIAS = {"rank_distance_by_query_lang": {"sw": 40.0, "te": 20.0, "en": 10.0}}


def groups(**options):
    return group_languages("x", SIZES, **{"medium_from": 50, "high_from": 500, **options})


def test_miracl_and_its_cuts_are_grouped_by_the_published_sizes():
    for name in ("miracl", "miracl-mini"):
        found = group_languages(name, {"sw": 4, "en": 4})
        assert found.published
        assert found.members("ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh".split()) == {
            "low": ["yo", "sw", "bn", "hi", "te", "th"],
            "medium": ["id", "ko", "fi", "ar", "fa", "zh"],
            "high": ["ja", "ru", "es", "fr", "de", "en"],
        }


def test_other_collections_are_grouped_by_their_own_sizes():
    found = groups()
    assert not found.published
    assert found.members(SIZES) == {"low": ["sw", "te"], "medium": ["fi"], "high": ["en"]}
    # A threshold belongs to the group above it; a language without passages is low.
    edges = groups(medium_from=100, high_from=1000)
    assert [edges.group(lang) for lang in ("te", "fi", "en", "bem")] == [
        "low",
        "medium",
        "high",
        "low",
    ]


@pytest.mark.parametrize(("medium", "high"), [(5, 5), (9, 5), (0, 5)])
def test_thresholds_must_rise(medium, high):
    with pytest.raises(ConfigError, match=f"from {medium} and {high} passages; the first must be"):
        groups(medium_from=medium, high_from=high)


def test_means_of_groups():
    summary = summarize_by_resource(ROWS, BIAS, groups())
    # low: (0.2 + 0.4) / 2; R@100 was measured in English alone.
    assert summary["monolingual"] == {
        "low": {"AP": pytest.approx(0.3)},
        "medium": {"AP": 0.5},
        "high": {"AP": 0.9, "R@100": 1.0},
    }
    # Into English from sw and te (0.1 + 0.2) / 2, within the low ones sw to te alone.
    assert summary["cross-lingual"] == {
        "low": {"low": {"AP": 0.5}, "high": {"AP": pytest.approx(0.15)}},
        "high": {"low": {"AP": 0.3}},
    }
    assert summary["multilingual"] == {"low": {"AP": 0.2}, "high": {"AP": 0.7}}
    assert summary["rank_distance"] == {"low": 30.0, "high": 10.0}
    assert summary["groups"] == {"low": ["sw", "te"], "medium": ["fi"], "high": ["en"]}
    assert summary["sizes"] == {"en": 1000, "fi": 100, "sw": 10, "te": 20}
    assert (summary["medium_from"], summary["high_from"]) == (50, 500)
    assert summary["published_sizes"] is False
    assert json.loads(json.dumps(summary)) == summary


def test_table():
    table = resource_table(summarize_by_resource(ROWS, BIAS, groups()))
    assert table.columns == (
        "resources",
        "query languages",
        "monolingual AP",
        "cross-lingual to low AP",
        "cross-lingual to high AP",
        "multilingual AP",
        "rank distance",
    )
    assert table.rows == (
        ("low", "sw te", "0.3000", "0.5000", "0.1500", "0.2000", "30.0"),
        ("medium", "fi", "0.5000", "–", "–", "–", "–"),
        ("high", "en", "0.9000", "0.3000", "–", "0.7000", "10.0"),
    )
    assert table.text_columns == 2


def test_columns_that_have_no_figure_are_left_out():
    rows = [found for found in ROWS if found.setting == "monolingual"]
    summary = summarize_by_resource(rows, {"rank_distance_by_query_lang": None}, groups())
    assert summary["cross-lingual"] == summary["multilingual"] == summary["rank_distance"] == {}
    assert resource_table(summary).columns == ("resources", "query languages", "monolingual AP")


def test_a_measure_that_was_not_evaluated_is_an_error():
    summary = summarize_by_resource(ROWS, BIAS, groups())
    with pytest.raises(DataError, match="does not hold nDCG@10; evaluate with this measure"):
        resource_table(summary, measure="nDCG@10")
