"""Regimes side by side, by query language."""

import pytest

from isoglot.errors import DataError
from isoglot.evaluation import SettingRow
from isoglot.reporting import RunResult, compare_languages


def result(batches: str, seed: int, ap: float, distance: float = 20.0) -> RunResult:
    rows = [
        SettingRow("monolingual", "en", "en", "AP", ap, 3),
        SettingRow("monolingual", "sw", "sw", "AP", ap / 2, 3),
        SettingRow("cross-lingual", "en", "sw", "AP", 0.2, 3),
        SettingRow("cross-lingual", "en", "th", "AP", 0.4, 3),
        SettingRow("monolingual", "en", "en", "R@1", 0.9, 3),
    ]
    metrics = {"bias": {"rank_distance_by_query_lang": {"en": distance}}}
    return RunResult("static", batches, seed, "mini", metrics, rows)


def test_figures_are_means_over_seeds_with_regimes_side_by_side():
    results = [result("hybrid", 0, 0.8), result("monolingual", 0, 0.6)]
    results += [result("hybrid", 1, 0.9, 30.0), result("monolingual", 1, 0.6)]
    ((key, table),) = compare_languages(results).items()
    assert key == ("mini", "static")
    assert table.columns == (
        "query language",
        "monolingual AP: monolingual",
        "monolingual AP: hybrid",
        "cross-lingual AP: monolingual",
        "cross-lingual AP: hybrid",
        "rank distance: monolingual",
        "rank distance: hybrid",
    )
    assert table.rows == (
        ("en", "0.6000", "0.8500", "0.3000", "0.3000", "20.0", "25.0"),
        ("sw", "0.3000", "0.4250", "–", "–", "–", "–"),
        ("mean", "0.4500", "0.6375", "0.3000", "0.3000", "20.0", "25.0"),
    )


def test_a_measure_that_was_not_evaluated_is_an_error():
    with pytest.raises(DataError, match="does not hold nDCG@10; evaluate with this measure"):
        compare_languages([result("hybrid", 0, 0.5)], measure="nDCG@10")
