"""The figures of heat maps, their colours, and the languages' names and directions."""

import re

import pytest

from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import SettingRow
from isoglot.reporting.heat_maps import difference_map, measure_map, share_map
from isoglot.reporting.html.colours import (
    STEPS,
    contrast,
    diverging_step,
    scale_css,
    sequential_step,
)
from isoglot.reporting.html.names import language_name, text_direction

ROWS = [
    SettingRow("monolingual", "en", "en", "AP", 0.8, 5),
    SettingRow("cross-lingual", "en", "ar", "AP", 0.5, 5),
    SettingRow("multilingual", "en", "*", "AP", 0.6, 5),
    SettingRow("multilingual", "ar", "*", "AP", 0.4, 5),
    SettingRow("monolingual", "en", "en", "R@1", 0.1, 5),
]


def test_a_map_holds_all_settings_with_the_pool_of_all_last():
    found = measure_map(ROWS, "AP")
    assert (found.query_langs, found.passage_langs) == (("ar", "en"), ("ar", "en", "*"))
    assert found.get("en", "en") == 0.8 and found.get("ar", "ar") is None
    assert found.largest == 0.8
    assert found.table(2).to_csv() == "query language,ar,en,*\nar,–,–,0.40\nen,0.50,0.80,0.60\n"


def test_differences_are_only_where_both_have_a_value():
    run = measure_map([row._replace(value=row.value + 0.1) for row in ROWS[:3]], "AP")
    found = difference_map(run, measure_map(ROWS[1:], "AP"))
    assert found.values == pytest.approx({("en", "ar"): 0.1, ("en", "*"): 0.1})


def test_a_map_of_shares():
    found = share_map({"en": {"en": 0.7, "ar": 0.3}})
    assert found.table(1).rows == (("en", "0.3", "0.7"),)


def test_a_measure_that_cannot_be_mapped():
    with pytest.raises(DataError, match="does not hold nDCG@10; it holds AP, R@1"):
        measure_map(ROWS, "nDCG@10")
    with pytest.raises(ConfigError, match="unknown measure"):
        measure_map(ROWS, "X")


def colours(theme):
    rules = re.findall(r"\.([sd]\d+)\{background:(#\w{6});color:(#\w{6})\}", scale_css(theme))
    return {name: (background, ink) for name, background, ink in rules}


def test_contrast_by_hand():
    # Mid grey #777777: 0x77 / 255 = .4667, to the power 2.4 of (.4667 + .055) / 1.055 = .1845.
    # Against white: (1 + .05) / (.1845 + .05) = 4.478, the well-known grey just below 4.5.
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=5e-4)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_step_can_be_read(theme):
    found = colours(theme)
    assert len(found) == 2 * STEPS
    for name, (background, ink) in found.items():
        assert contrast(background, ink) >= 4.5, name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_steps_go_one_way_from_the_page(theme):
    paper = {"light": "#ffffff", "dark": "#14181c"}[theme]
    found = colours(theme)
    away = [contrast(found[f"s{step}"][0], paper) for step in range(STEPS)]
    assert away == sorted(away)
    middle = STEPS // 2
    worse = [contrast(found[f"d{middle - step}"][0], paper) for step in range(middle + 1)]
    better = [contrast(found[f"d{middle + step}"][0], paper) for step in range(middle + 1)]
    assert worse == sorted(worse) and better == sorted(better)


def test_values_fall_on_steps():
    assert [sequential_step(value, 0.8) for value in (0, 0.4, 0.8, 2.0)] == [0, 10, 20, 20]
    assert [diverging_step(value, 0.1) for value in (-0.1, 0, 0.05, 0.1)] == [0, 10, 15, 20]
    assert (sequential_step(0, 0), diverging_step(0, 0)) == (0, 10)


def test_names_and_directions():
    assert (language_name("yo"), language_name("xyz")) == ("Yoruba", "xyz")
    rtl = {
        lang for lang in ("ar", "fa", "he", "ur", "en", "zh", "hi") if text_direction(lang) == "rtl"
    }
    assert rtl == {"ar", "fa", "he", "ur"}
