"""The report: what it says, how sure it is, and that it says nothing it cannot know."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from isoglot.artifacts import read_json, write_json, write_text
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.evaluation import SettingRow, StoredEvaluation
from isoglot.evaluation.significance import bootstrap_interval
from isoglot.pipeline.report import parse_run, write_report
from isoglot.reporting.html import ReportRun, build_report, render_report, report_tables
from isoglot.reporting.html.bias import bias_rows, friedman_rows, why_missing
from isoglot.reporting.html.headline import difference_sentence, run_sentences
from isoglot.reporting.html.intervals import (
    Estimate,
    estimate,
    estimate_difference,
    split_values,
)
from tests.reporting.report_folders import HOSTILE, small_collection, write_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluations")
    return (
        write_folder(root / "one", model="org/one", bias=2.0),
        write_folder(root / "two", model="org/two", bias=0.2),
    )


@pytest.fixture(scope="module")
def report(folders):
    return build_report([(None, folder) for folder in folders])


@pytest.fixture(scope="module")
def page(report):
    return render_report(report)


def per_query(rows):
    names = ("query_id", "query_lang", "setting", "passage_lang", "measure", "value")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


VALUES = [
    ("q1", "en", "monolingual", "en", "AP", 0.2),
    ("q2", "en", "monolingual", "en", "AP", 0.4),
    ("q1", "ar", "monolingual", "ar", "AP", 0.9),
    ("q1", "en", "multilingual", "*", "AP", 0.5),
]


def test_a_figure_is_a_mean_over_pools_of_means_over_queries():
    found = estimate(split_values(per_query(VALUES), ["AP"]))
    # English (.2 + .4) / 2 = .3, Arabic .9, and (.3 + .9) / 2 = .6.
    assert found["monolingual", "AP"].value == pytest.approx(0.6)
    assert found.keys() == {("monolingual", "AP"), ("multilingual", "AP")}


def test_intervals_keep_parallel_questions_together():
    # By pool, then query: Arabic q1; English q1, q2. Both q1 are one cluster.
    expected = bootstrap_interval(
        np.array([0.9, 0.2, 0.4]), np.array([0, 0, 1]), np.array([0, 1, 1])
    )
    found = estimate(split_values(per_query(VALUES[::-1]), ["AP"]))
    assert found["monolingual", "AP"].bounds == pytest.approx(expected)


def test_a_difference_is_paired_by_query():
    better = [(*row[:-1], row[-1] + 0.1) for row in reversed(VALUES)]
    run, first = (split_values(per_query(rows), ["AP"]) for rows in (better, VALUES))
    found = estimate_difference(run, first)["monolingual", "AP"]
    # Every query gains .1, so no sample of queries can give anything else.
    assert found.value == pytest.approx(0.1)
    assert found.bounds == pytest.approx((0.1, 0.1))
    assert found.is_clear and not Estimate(0.1, (-0.1, 0.3)).is_clear


def test_other_queries_have_no_difference():
    first = split_values(per_query(VALUES), ["AP"])
    other_ids = [(f"x{row[0]}", *row[1:]) for row in VALUES]
    assert estimate_difference(split_values(per_query(other_ids), ["AP"]), first) == {}
    fewer = split_values(per_query([VALUES[0], *VALUES[2:], ("q2", *VALUES[3][1:])]), ["AP"])
    assert estimate_difference(fewer, first) == {}


def run_of(summary, bias, rows=(), label="mini", **metrics):
    stored = StoredEvaluation({"summary": summary, "bias": bias, **metrics}, tuple(rows), None)
    return ReportRun(label, stored, {}, None)


SUMMARY = {
    "monolingual": {"AP": 0.653},
    "cross-lingual": {"AP": 0.256},
    "multilingual": {"AP": 0.193},
}
BIAS = {
    "language_preference_rate": 0.8,
    "language_preference_rate_expected": 0.5,
    "confusion": {"en": {"en": 0.8, "ar": 0.2}, "ar": {"en": 0.4, "ar": 0.6}},
    "language_share": {"same_language_expected": 0.09},
    "rank_distance": 4017.8,
}
MIXED = [
    SettingRow("multilingual", "en", "*", "AP", 0.279, 3),
    SettingRow("multilingual", "sw", "*", "AP", 0.138, 3),
]


def test_what_was_found_in_sentences():
    # .653 - .256 = .397. Who comes first is said of right answers: a fair share of all passages is
    # another where not every language has the answers.
    assert run_sentences(run_of(SUMMARY, BIAS, MIXED), "AP") == (
        "mini answers best within a language (AP .653), loses .397 from one language to another, "
        "and in the mixed pool puts the right answer in the query's language first for "
        "80\u202f% of the queries, where 50\u202f% would be fair. Queries in English fare best in "
        "the mixed pool (.279), those in Swahili worst (.138)."
    )


def test_equal_languages_are_not_best_and_worst():
    rows = [row._replace(value=0.5) for row in MIXED]
    assert "worst" not in run_sentences(run_of(SUMMARY, {}, rows), "AP")


def test_figures_of_one_language_are_lower_bounds_in_a_run_of_limited_depth():
    said = run_sentences(run_of(SUMMARY, {}, depth=1000), "AP")
    assert said.endswith(
        "The ranking is known to 1,000 passages of all languages, so monolingual and "
        "cross-lingual figures are lower bounds."
    )


def test_no_preference_is_claimed_where_no_other_language_could_answer():
    summary = {"monolingual": {"AP": 0.4}, "multilingual": {"AP": 0.3}}
    bias = {**BIAS, "language_preference_rate": None}
    assert run_sentences(run_of(summary, bias), "AP") == (
        "mini reaches AP .400 within a language and .300 in the mixed pool."
    )


def test_best_is_said_only_of_the_best():
    # RR looks at the first right answer of any language: the mixed pool can be the easiest.
    summary = {**SUMMARY, "multilingual": {"AP": 0.7}}
    assert run_sentences(run_of(summary, {}), "AP") == (
        "mini answers better within a language (AP .653) than across languages and loses .397 "
        "from one language to another."
    )


def test_an_encoder_that_loses_nothing_across_languages():
    summary = {"monolingual": {"AP": 0.5}, "cross-lingual": {"AP": 0.5}, "multilingual": {}}
    assert run_sentences(run_of(summary, {}), "AP") == (
        "mini answers no better within a language (AP .500) than from one language to another "
        "(.500)."
    )


def test_a_difference_in_a_sentence():
    run = run_of(SUMMARY, {**BIAS, "rank_distance": 3865.0}, label="new")
    differences = {
        ("monolingual", "AP"): Estimate(-0.02, (-0.03, -0.01)),
        ("cross-lingual", "AP"): Estimate(0.05, (0.04, 0.06)),
        ("multilingual", "AP"): Estimate(0.01, (-0.01, 0.03)),
    }
    assert difference_sentence(run, run_of(SUMMARY, BIAS), differences, "AP") == (
        "Against mini, new loses .020 within a language, gains .050 from one language to another, "
        "and shows no clear change in the mixed pool (+.010). "
        "Rank distance falls from 4,018 to 3,865."
    )
    same = difference_sentence(run_of(SUMMARY, BIAS), run_of(SUMMARY, BIAS), {}, "AP")
    assert same == "Rank distance stays at 4,018."


def test_a_difference_that_rounds_to_nothing_is_neither_gain_nor_loss():
    differences = {("monolingual", "AP"): Estimate(-0.0002, (-0.0003, -0.0001))}
    said = difference_sentence(run_of({}, {}, label="new"), run_of({}, {}), differences, "AP")
    assert said.startswith("Against mini, new shows no clear change within a language (")


def test_why_a_bias_figure_is_missing():
    old = run_of({}, {"rank_distance": 20.5, "rank_distance_floor": 10.0})
    rows = {row.name: row for row in bias_rows([old])}
    assert rows["rank distance"].values == ("20.5",)
    assert rows["rank distance"].fair == "10 at best"
    assert rows["Kendall's W"].values == ("–",)
    assert "of an older version; run isoglot evaluate again" in rows["Kendall's W"].missing
    assert "older version" in why_missing(old, "confusion")
    bias = {
        "rank_distance": None,
        "peer": {"value": None, "why": "it is the same for any ranking"},
        "friedman": {"by_query_lang": {}, "kendall_w": None},
        "language_share": {"by_query_lang": {}, "same_language": None},
    }
    one_language = {row.name: row for row in bias_rows([run_of({}, bias)])}
    assert one_language["PEER"].missing == ", because it is the same for any ranking"
    assert "in two languages" in one_language["rank distance"].missing
    assert "kept no ranking" in one_language["same language in the top 10"].missing
    assert "kept no ranking" in why_missing(run_of({}, bias), "language_share")
    limited = run_of({}, bias, depth=100)
    assert "of limited depth" in why_missing(limited, "friedman")


def test_no_advice_is_given_that_would_not_help():
    head = {"by_query_lang": {}, "same_language": None}
    share = {**head, "relevant_by_query_lang": {}, "same_language_relevant": None}
    bias = {
        "rank_distance": None,
        "language_preference_rate": None,
        "language_share": share,
        "confusion": {},
        "friedman": {"by_query_lang": {}, "kendall_w": None},
    }
    # One language has no first ten by language, however deep the ranking.
    one_pool = run_of({}, bias, passage_langs=["en"])
    assert why_missing(one_pool, "confusion") == "all passages are in one language"
    rows = {row.name: row for row in bias_rows([one_pool])}
    assert "all passages are in one" in rows["same language in the top 10"].missing
    # As in MIRACL: a deeper run has no parallel answers either.
    own_answers = run_of({}, bias, depth=100)
    assert "in two languages" in why_missing(own_answers, "friedman")
    # XQuAD-R: it has, and the right answers of some query are beyond the depth.
    judged = {"relevant_by_query_lang": {"en": {"en": 0.5}}, "same_language_relevant": 0.5}
    cut = run_of({}, {**bias, "language_share": {**head, **judged}}, depth=100)
    for run, reason in ((own_answers, "no query has"), (cut, "the run is of limited depth")):
        rows = {row.name: row for row in bias_rows([run])}
        for name in ("rank distance", "language preference rate"):
            assert rows[name].missing.startswith(f", because {reason}")


def test_reasons_say_which_run_they_are_of():
    found = {"a": 20.5, "b": None, "c": None}
    runs = [run_of({}, {"rank_distance": value}, label=name) for name, value in found.items()]
    old = run_of({}, {}, label="d")
    row = bias_rows([*runs, old])[0]
    assert row.missing == (
        " for b and c, because no query has relevant passages in two languages; for d, because the "
        "evaluation is of an older version; run isoglot evaluate again"
    )
    assert bias_rows(runs[1:])[0].missing.startswith(", because")


def test_no_share_is_called_fair_where_only_one_language_has_the_answers():
    share = {"same_language": 0.66, "same_language_expected": 0.06}
    found = [
        {row.name: row for row in bias_rows([run_of({}, {"language_share": share, **rate})])}
        for rate in ({"language_preference_rate": 0.8}, {"language_preference_rate": None})
    ]
    rows = [by_name["same language in the top 10"] for by_name in found]
    assert [(row.values, row.fair) for row in rows] == [
        (("66\u202f%",), "6\u202f%"),
        (("66\u202f%",), ""),
    ]


def test_a_run_of_limited_depth_is_said_to_be(folders, tmp_path):
    folder = write_folder(tmp_path / "run")
    metrics = read_json(folder / "metrics.json")
    write_json(folder / "metrics.json", {**metrics, "depth": 1000})
    text = render_report(build_report([("run", folder)]))
    assert "run ranks 1,000 passages per query; right answers below them count as not" in text
    assert "the first 1000 passages of every query" in text
    message = "one and run were measured to different depths: full and 1,000; evaluate both from"
    with pytest.raises(ConfigError, match=message):
        build_report([(None, folders[0]), ("run", folder)])


def test_differences_of_runs_of_limited_depth_are_in_the_pool_of_all_languages(tmp_path):
    folders = [write_folder(tmp_path / name, bias=bias) for name, bias in (("a", 2.0), ("b", 0.2))]
    for folder in folders:
        metrics = read_json(folder / "metrics.json")
        write_json(folder / "metrics.json", {**metrics, "depth": 20})
    report = build_report([(None, folder) for folder in folders])
    assert [block.settings for block in report.differences] == [("multilingual",)]
    assert [found.passage_langs for found in report.difference_maps] == [("*",)]
    assert "within a language" not in render_report(report).partition("Against")[2][:200]


def test_differences_that_round_to_nothing_have_no_colour(report):
    tiny = {("monolingual", "AP"): Estimate(-0.0002, (-0.0003, -0.0001))}
    blocks = (*report.blocks[:2], replace(report.blocks[2], estimates=tiny))
    text = render_report(replace(report, blocks=blocks))
    assert 'class="worse"' not in text and 'class="better"' not in text


def test_pools_without_answers_are_empty_cells(tmp_path):
    # As in MIRACL: every query has its answers in its own language only.
    collection = small_collection()
    own = [q for q in collection.qrels if q.doc_id.startswith(q.query_lang)]
    folder = write_folder(tmp_path / "own", collection=replace(collection, qrels=own))
    text = render_report(build_report([("own", folder)]))
    assert "Empty cells have no answers to measure." in text
    assert len(re.findall('<td class="none"></td>', text)) == 12
    assert "not available, because no query has relevant passages in two languages" in text


def test_friedman_rows_name_the_languages_in_their_order():
    test = {"kendall_w": 0.25, "p": 1e-9, "queries": 40, "mean_ranks": {"ar": 2.5, "en": 1.2}}
    (row,) = friedman_rows(run_of({}, {"friedman": {"by_query_lang": {"en": test}}}))
    assert (row.order, row.p) == (("en", "ar"), "<.001")


def test_the_page_holds_every_section_and_figure(page, report):
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles == [
        "Three settings",
        "Language by language",
        "Language bias",
        "Worst queries",
        "Where this comes from",
    ]
    assert "<h1>one and two on small</h1>" in page
    value = report.runs[0].metrics["summary"]["monolingual"]["AP"]
    assert f"<b>{value:.3f}</b>".replace("0.", ".") in page
    assert page.count("<caption") == page.count("<table")
    assert "c0ffee" in page and "not available" not in page


def test_the_page_fetches_nothing(page):
    assert not re.findall(r'<[^>]*\s(?:src|href|action)="(?!data:,|#)', page)
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'" in html.unescape(page)


def test_texts_cannot_become_markup(page):
    assert HOSTILE not in page and "<img" not in page
    assert "&lt;script&gt;document.title" in page
    assert len(re.findall("<script", page)) == 1


def test_names_and_titles_cannot_become_markup(folders):
    named = [("<b>x</b>\"'", folders[0])]
    text = render_report(build_report(named, title="<script>1</script>"))
    assert "<b>x" not in text and text.count("<script") == 1


def test_texts_have_their_language_and_direction(page):
    assert re.search(r'<p class="query" lang="ar" dir="rtl">ما هي', page)
    assert re.search(r'<p class="query" lang="ur" dir="rtl">', page)
    assert re.search(r'<p class="query" lang="zh" dir="ltr">哪一条', page)


def test_one_run_has_no_differences(folders):
    text = render_report(build_report([("solo", folders[0])]))
    assert "<h1>solo on small</h1>" in text
    assert "Against" not in text and "paired" not in text


def test_folders_of_older_versions_are_shown_as_far_as_they_go(folders, tmp_path):
    folder = write_folder(tmp_path / "old")
    metrics = read_json(folder / "metrics.json")
    metrics["bias"] = {"rank_distance": 30.0, "same_language_share": 0.5}
    write_json(folder / "metrics.json", metrics)
    (folder / "examples.jsonl").unlink()
    text = render_report(build_report([("new", folders[0]), ("old", folder)]))
    assert "old: not available, because the folder has no examples.jsonl" in text
    assert "old: not available, because the evaluation is of an older version" in text


def test_an_evaluation_without_a_ranking(tmp_path):
    folder = write_folder(tmp_path / "shallow", run_depth=0)
    text = render_report(build_report([(None, folder)]))
    assert "the evaluation kept no ranking (run depth 0)" in text


def test_every_map_is_there_and_differences_are_exact(report):
    assert [len(report.maps), len(report.difference_maps)] == [2, 1]
    one, two = report.maps
    cell = ("ar", "zh")
    assert report.difference_maps[0].values[cell] == two.values[cell] - one.values[cell]


def test_tables_of_the_page(report):
    tables = report_tables(report)
    assert list(tables) == [
        "settings",
        "bias",
        "rank-distance",
        "heat-map-one",
        "heat-map-two",
        "difference-two",
        "language-share-one",
        "first-passage-one",
        "friedman-one",
        "language-share-two",
        "first-passage-two",
        "friedman-two",
    ]
    rows = tables["settings"].rows
    assert [row[:2] for row in rows[::3]] == [
        ("one", "monolingual"),
        ("two", "monolingual"),
        ("two − one", "monolingual"),
    ]
    assert re.fullmatch(r"0\.\d{4} \(0\.\d{4} to [01]\.\d{4}\)", rows[0][2])


def test_names_of_tables_can_stand_in_file_names(folders):
    tables = report_tables(build_report([("a/b", folders[0]), ("a b", folders[1])]))
    assert {"heat-map-a-b", "heat-map-a-b-2"} <= tables.keys()


def test_files_are_written_whole(folders, tmp_path):
    write_report([(None, folders[0])], tmp_path / "new" / "r.html", tables=tmp_path / "tables")
    assert (tmp_path / "new" / "r.html").read_text("utf-8").endswith("</html>")
    assert {file.suffix for file in (tmp_path / "tables").iterdir()} == {".csv", ".md", ".tex"}
    assert (tmp_path / "tables" / "settings.tex").read_text("utf-8").startswith("\\begin{tabular}")


def test_a_run_has_the_name_that_is_given(folders, tmp_path):
    assert parse_run("mine=runs/a") == ("mine", parse_run("runs/a")[1])
    odd = tmp_path / "lr=0.1"
    odd.mkdir()
    assert parse_run(str(odd)) == (None, odd)
    for text in ("=runs/a", "mine="):
        with pytest.raises(ConfigError, match="expected FOLDER or NAME=FOLDER"):
            parse_run(text)


def test_two_runs_of_one_model_are_named_by_their_folders(tmp_path):
    folders = [write_folder(tmp_path / name) for name in ("first", "second")]
    report = build_report([(None, folder) for folder in folders])
    assert [run.label for run in report.runs] == ["first", "second"]


def test_the_measure_is_ap_or_the_first_that_all_hold(folders, tmp_path):
    assert build_report([(None, folders[0])], measure="mAP").measure == "AP"
    other = write_folder(tmp_path / "other", measures=["nDCG@10", "R@10"])
    report = build_report([(None, folders[0]), ("other", other)])
    assert report.measures == ("R@10", "nDCG@10")


def break_folder(folder, how):
    """Damage the folder of an evaluation in one way."""
    if how == "unfinished":
        (folder / "COMPLETE").unlink()
    elif how == "no metrics":
        (folder / "metrics.json").unlink()
    elif how == "not JSON":
        write_text(folder / "examples.jsonl", '{"query_lang": "ar"\n')
    elif how == "no record":
        write_text(folder / "examples.jsonl", json.dumps({"query": "x"}) + "\n")


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("unfinished", ArtifactError, "has no file COMPLETE, .* run isoglot evaluate again"),
        ("no metrics", ArtifactError, "has no metrics.json; name a folder that isoglot evaluate"),
        ("not JSON", DataError, r"examples.jsonl:1: not valid JSON"),
        ("no record", DataError, r"examples.jsonl:1: a record needs above, answer, .*value"),
    ],
)
def test_a_folder_that_cannot_be_read(tmp_path, how, error, message):
    folder = write_folder(tmp_path / "broken")
    break_folder(folder, how)
    with pytest.raises(error, match=message):
        build_report([(None, folder)])


def test_what_cannot_stand_on_one_page(folders, tmp_path):
    with pytest.raises(ConfigError, match="no runs; name one or more folders"):
        build_report([])
    with pytest.raises(ArtifactError, match="nowhere: no such folder"):
        build_report([(None, tmp_path / "nowhere")])
    with pytest.raises(ConfigError, match="2 runs are named 'x'; give each its own name"):
        build_report([("x", folder) for folder in folders])
    other = write_folder(tmp_path / "other", collection=small_collection(name="else"))
    with pytest.raises(DataError, match="benchmark is small in one and else in small-model; make"):
        build_report([(None, folders[0]), (None, other)])
    smaller = write_folder(tmp_path / "smaller", collection=small_collection(6))
    with pytest.raises(DataError, match="queries is 48 in one and 24 in small-model"):
        build_report([(None, folders[0]), (None, smaller)])


def test_a_measure_that_a_run_does_not_hold(folders, tmp_path):
    with pytest.raises(
        DataError, match=r"one does not hold P@3; choose one of AP, .* --measure P@3"
    ):
        build_report([(None, folders[0])], measure="P@3")
    with pytest.raises(ConfigError, match="unknown measure 'X'"):
        build_report([(None, folders[0])], measure="X")
    other = write_folder(tmp_path / "other", measures=["P@7"])
    with pytest.raises(DataError, match="no measure in common; evaluate them with one"):
        build_report([(None, folders[0]), ("other", other)])
