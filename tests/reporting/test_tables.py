import csv
import io

import pytest

from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import SettingRow
from isoglot.reporting import RunResult, Table, compare, language_table
from isoglot.reporting.published import published_encoder, published_rows


def result(encoder="mini", batches="hybrid", seed=1, benchmark="mini", ap=0.5, distance=100.0):
    summary = {"monolingual": {"AP": ap}, "cross-lingual": {"AP": ap / 2}, "multilingual": {}}
    return RunResult(
        encoder,
        batches,
        seed,
        benchmark,
        {"summary": summary, "bias": {"rank_distance": distance}},
    )


def test_seeds_are_averaged():
    comparison = compare([result(seed=s, ap=ap) for s, ap in ((1, 0.4), (2, 0.5), (3, 0.6))])
    (row,) = comparison.rows
    assert row.source == "3 seeds"
    assert row.figures["monolingual"] == pytest.approx((0.5, 0.1))
    assert row.figures["multilingual"] is None
    assert row.figures["rank distance"] == (100, 0)
    (cells,) = comparison.table().rows
    assert cells[4:] == ("0.5000 ± 0.1000", "0.2500 ± 0.0500", "–", "100.0 ± 0.0")


def test_an_encoder_as_it_comes_stands_first_and_has_no_seed():
    rows = compare([result(), result(batches="untrained")]).rows
    assert [(row.batches, row.source) for row in rows] == [
        ("untrained", "as it comes"),
        ("hybrid", "1 seed"),
    ]


def test_rows_follow_the_order_given_and_what_it_does_not_name_comes_last():
    results = [result(batches=name) for name in ("kl", "hybrid", "share-0.1", "a")]
    rows = compare(results, order=("hybrid", "share-0.1", "kl")).rows
    assert [row.batches for row in rows] == ["hybrid", "share-0.1", "kl", "a"]


def test_one_seed_shows_no_spread():
    (cells,) = compare([result()]).table().rows
    assert cells[3:] == ("1 seed", "0.5000", "0.2500", "–", "100.0")


def test_a_figure_that_one_seed_lacks_is_not_averaged():
    (row,) = compare([result(seed=1), result(seed=2, distance=None)]).rows
    assert row.figures["rank distance"] is None


def test_published_rows_stand_below_ours():
    ours = result("FacebookAI/xlm-roberta-base", "cross-lingual", benchmark="xquad-r")
    rows = compare([ours]).rows
    assert [(row.encoder, row.batches, row.seeds) for row in rows] == [
        ("LaBSE", "monolingual", 0),
        ("LaBSE", "cross-lingual", 0),
        ("LaBSE", "hybrid", 0),
        ("XLM-R", "monolingual", 0),
        ("FacebookAI/xlm-roberta-base", "cross-lingual", 1),
        ("XLM-R", "cross-lingual", 0),
        ("XLM-R", "hybrid", 0),
    ]
    assert rows[-1].source == "arXiv 2408.10536, Tables 3 and 7"
    assert len(compare([ours], published=False).rows) == 1


def test_a_benchmark_without_published_rows_or_measure():
    assert len(compare([result()]).rows) == 1
    summary = {"monolingual": {"nDCG@10": 0.4}}
    miracl = RunResult("mini", "hybrid", 1, "miracl", {"summary": summary, "bias": {}})
    rows = compare([miracl], measure="nDCG@10").rows
    assert {row.source for row in rows if not row.seeds} == {
        "arXiv 2408.10536, Table 12",
        "arXiv 2408.10536, Table 13",
    }
    assert rows[0].figures["rank distance"] is None


def test_data_keeps_every_digit():
    table = compare([result(seed=1, ap=1 / 3), result(seed=2, ap=1 / 7)]).data()
    (row,) = csv.DictReader(io.StringIO(table.to_csv()))
    assert float(row["monolingual"]) == pytest.approx((1 / 3 + 1 / 7) / 2, abs=1e-15)
    assert float(row["monolingual standard deviation"]) > 0
    assert row["multilingual"] == row["multilingual standard deviation"] == ""
    assert (row["seeds"], row["measure"]) == ("2", "AP")


@pytest.mark.parametrize(
    ("results", "options", "error", "message"),
    [
        ([], {}, DataError, "no results to compare; give one or more evaluation folders"),
        ([result(), result()], {}, DataError, "two results for mini, mini, hybrid .* seed 1; give"),
        ([result()], {"measure": "R@3"}, DataError, "no result holds R@3; .* one of AP"),
        ([result()], {"measure": "X"}, ConfigError, "unknown measure 'X'"),
    ],
)
def test_what_cannot_be_compared(results, options, error, message):
    with pytest.raises(error, match=message):
        compare(results, **options)


SETTINGS = [
    SettingRow("monolingual", "de", "de", "AP", 0.8, 5),
    SettingRow("monolingual", "en", "en", "AP", 0.6, 5),
    SettingRow("cross-lingual", "de", "en", "AP", 0.5, 5),
    SettingRow("cross-lingual", "de", "fr", "AP", 0.3, 5),
    SettingRow("multilingual", "de", "*", "R@1", 0.1, 5),
]


def test_language_table():
    table = language_table(SETTINGS, {"rank_distance_by_query_lang": {"de": 12.0}})
    assert table.to_text() == (
        "query language  monolingual AP  cross-lingual AP  multilingual AP  rank distance\n"
        "--------------  --------------  ----------------  ---------------  -------------\n"
        "de                      0.8000            0.4000                –           12.0\n"
        "en                      0.6000                 –                –              –\n"
        "mean                    0.7000            0.4000                –           12.0\n"
    )


def test_language_table_without_the_measure():
    with pytest.raises(DataError, match="the evaluation does not hold nDCG@10; evaluate with"):
        language_table(SETTINGS, {}, measure="nDCG@10")


def test_markdown_is_aligned_and_escapes_bars():
    table = Table(("name", "n"), (("a|b", "1"), ("c", "23")))
    assert table.to_markdown() == (
        "| name |   n |\n| ---- | --: |\n| a\\|b |   1 |\n| c    |  23 |\n"
    )


def test_csv_quotes_what_needs_it():
    assert Table(("a", "b"), (("x, y", "1"),)).to_csv() == 'a,b\n"x, y",1\n'


def test_published_figures_are_those_of_the_paper():
    rows = {(r.benchmark, r.encoder, r.batches): r.metrics for r in published_rows()}
    assert len(rows) == 18
    # arXiv 2408.10536, Tables 3 and 7; Tables 6 and 8; Table 13.
    xquad = rows["xquad-r", "XLM-R", "hybrid"]
    assert [values["AP"] for values in xquad["summary"].values()] == [0.7977, 0.7053, 0.5927]
    assert xquad["bias"]["rank_distance"] == 286.6
    mlqa = rows["mlqa-r", "LaBSE", "monolingual"]
    assert [values["AP"] for values in mlqa["summary"].values()] == [0.6807, 0.6561, 0.5504]
    assert mlqa["bias"]["rank_distance"] == 225.3
    assert rows["miracl", "LaBSE", "monolingual"]["summary"]["monolingual"]["nDCG@10"] == 0.4551


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("sentence-transformers/LaBSE", "LaBSE"),
        ("runs/xlm-roberta-large/", "XLM-R"),
        ("intfloat/multilingual-e5-base", "intfloat/multilingual-e5-base"),
    ],
)
def test_encoders_are_matched_to_published_names(name, known):
    assert published_encoder(name) == known
