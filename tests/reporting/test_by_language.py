"""Kinds of batches by query language."""

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


RESULTS = [
    result("hybrid", 0, 0.8),
    result("monolingual", 0, 0.6),
    result("hybrid", 1, 0.9, 30.0),
    result("monolingual", 1, 0.6),
]


def test_figures_are_means_over_seeds_with_batches_below_one_another():
    ((key, tables),) = compare_languages(RESULTS).items()
    assert key == ("mini", "static")
    assert list(tables) == ["monolingual AP", "cross-lingual AP", "rank distance"]
    assert tables["monolingual AP"].columns == ("batches", "en", "sw", "mean")
    assert tables["monolingual AP"].rows == (
        ("monolingual", "0.6000", "0.3000", "0.4500"),
        ("hybrid", "0.8500", "0.4250", "0.6375"),
    )
    assert tables["cross-lingual AP"].rows[0] == ("monolingual", "0.3000", "–", "0.3000")
    assert tables["rank distance"].rows == (
        ("monolingual", "20.0", "–", "20.0"),
        ("hybrid", "25.0", "–", "25.0"),
    )


def test_some_languages_beside_the_mean_of_the_others_and_the_baseline():
    options = {"langs": ("th", "sw"), "baseline": "hybrid", "order": ("hybrid",)}
    ((_, tables),) = compare_languages(RESULTS, **options).items()
    assert tables["monolingual AP"].columns == ("batches", "sw", "mean", "mean of others")
    assert tables["monolingual AP"].rows == (
        ("hybrid", "0.4250", "0.4250", "0.8500"),
        ("monolingual", "0.3000 (-0.1250)", "0.3000 (-0.1250)", "0.6000 (-0.2500)"),
    )
    assert tables["rank distance"].rows[1] == ("monolingual", "–", "–", "20.0 (-5.0)")


def test_a_benchmark_without_the_languages_is_left_out():
    assert compare_languages(RESULTS, langs=("yo",)) == {}


def test_a_measure_that_was_not_evaluated_is_an_error():
    with pytest.raises(DataError, match="does not hold nDCG@10; evaluate with this measure"):
        compare_languages([result("hybrid", 0, 0.5)], measure="nDCG@10")
