import json
from dataclasses import replace

import pytest

from isoglot.reporting.differences import (
    ROW_COLUMNS,
    ComparedSystem,
    Difference,
    DifferenceReport,
    Figure,
    Interval,
    comparison_markdown,
    comparison_record,
    comparison_text,
)


def row(difference=0.0123, p_holm=0.0004, interval=(0.0101, 0.0146), seeds=None, **figure):
    """A difference between A and B in the multilingual setting, unless told otherwise."""
    names = {"measure": "AP", "setting": "multilingual", "query_lang": None, "passage_lang": None}
    return Difference(
        figure=Figure(**{**names, **figure}, queries=22),
        baseline="A",
        system="B",
        baseline_value=0.5,
        system_value=0.5 + difference,
        baseline_deviation=0.002 if seeds else None,
        system_deviation=0.001 if seeds else None,
        difference=difference,
        interval=Interval(*interval),
        seed_interval=Interval(*seeds) if seeds else None,
        p=p_holm / 3,
        p_holm=p_holm,
        alpha=0.05,
    )


def report(*rows, runs=(("a",), ("b",)), **options):
    systems = tuple(ComparedSystem(label, paths) for label, paths in zip("AB", runs, strict=True))
    found = DifferenceReport("xquad-r", "AP", systems, rows, 1190, 0.05, 10_000, 10_000, 0)
    return replace(found, **options)


def sentence(found):
    return comparison_record(report(found))["sentences"][0]


def test_a_difference_that_holds():
    assert sentence(row()) == (
        "B is better than A in the multilingual setting: +0.0123 AP [0.0101, 0.0146], "
        "p < .001 (Holm); holds"
    )
    assert sentence(row(-0.02, 0.012, (-0.03, -0.01))) == (
        "B is worse than A in the multilingual setting: -0.0200 AP [-0.0300, -0.0100], "
        "p = .012 (Holm); holds"
    )


def test_less_rank_distance_is_better():
    assert sentence(row(-12.34, 0.001, (-20.1, -3.2), measure="rank distance")) == (
        "B is better than A in rank distance (lower is better): -12.3 ranks [-20.1, -3.2], "
        "p = .001 (Holm); holds"
    )
    assert row(12.3, 0.001, (3, 20), measure="rank distance").verdict == "worse"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (row(p_holm=0.05), "p = .050 (Holm); p is not below 0.05"),
        (row(p_holm=1.0), "p = 1.000 (Holm); p is not below 0.05"),
        (row(interval=(0, 0.02)), "[0.0000, 0.0200], p < .001 (Holm); the interval holds 0"),
        (
            row(seeds=(-0.001, 0.02)),
            "[-0.0010, 0.0200] over queries and seeds, p < .001 (Holm); the interval holds 0",
        ),
    ],
)
def test_a_difference_that_is_not_shown(found, why):
    assert found.verdict == "not shown"
    told = sentence(found)
    assert told.startswith("no difference shown between B and A in the multilingual setting: +0.01")
    assert told.endswith(why)


def test_the_interval_over_seeds_decides_where_there_is_one():
    assert row(interval=(-0.001, 0.02), seeds=(0.001, 0.02)).verdict == "better"
    assert row(interval=(0.001, 0.02), seeds=(-0.001, 0.02)).verdict == "not shown"


LANGUAGES = (
    row(),
    row(query_lang="de"),
    row(query_lang="en"),
    row(-0.0123, interval=(-0.02, -0.01), query_lang="sw"),
    row(p_holm=0.2, query_lang="th"),
)


def test_languages_are_counted():
    assert comparison_record(report(*LANGUAGES))["sentences"][1] == (
        "multilingual, AP: B is better in 2 of 4 query languages, worse in 1, not shown in 1"
    )


def test_tables():
    text = comparison_text(report(*LANGUAGES[:2]))
    assert text.startswith(
        "B against A\n"
        "\n"
        "setting       measure       A       B  difference  95 % over queries       p  p (Holm)"
        "  verdict\n"
        "------------  -------  ------  ------  ----------  -----------------  ------  --------"
        "  -------\n"
        "multilingual  AP       0.5000  0.5123     +0.0123   [0.0101, 0.0146]  < .001    < .001"
        "   better\n"
        "\n"
        "setting       measure  query language       A       B"
    )
    assert "multilingual  AP       de              0.5000  0.5123" in text


def test_tables_of_several_seeds_and_of_pools():
    seeds = {"seeds": (0.001, 0.02)}
    text = comparison_text(
        report(row(**seeds), row(**seeds, query_lang="de", passage_lang="en"), alpha=0.1)
    )
    assert "A                B  difference  90 % over queries  90 % over seeds too" in text
    assert "0.5000 ± 0.0020  0.5123 ± 0.0010     +0.0123   [0.0101, 0.0146]" in text
    assert "multilingual  AP       de              en" in text
    # A pair of languages is no query language.
    assert "query languages" not in text


def test_what_the_tests_are_about():
    one = comparison_record(report(row(), notes=("on 3 of 4 queries",)))["sentences"]
    assert one[1:] == [
        "tests: 1; query ids: 1,190, each drawn and turned as a whole; 10,000 permutations, "
        "10,000 resamples, seed 0; p (Holm) is corrected over all rows of a measure; a difference "
        "holds if it is below 0.05 and the interval does not hold 0",
        "one seed each of A, B: claims about these models, not about training them again",
        "on 3 of 4 queries",
    ]
    several = comparison_record(report(row(), runs=(("a",), ("b", "c", "d"))))["sentences"]
    assert several[2:] == [
        "one seed of A: a claim about this model, not about training it again",
        "3 seeds of B: p is about the mean of these 3 trained models; ± is the standard deviation "
        "over them",
    ]


def test_with_seeds_on_both_sides_the_tests_are_about_training_again():
    seeds = {"seeds": (0.001, 0.02)}
    lines = comparison_record(report(row(**seeds), runs=(("a", "b"), ("c", "d"))))["sentences"]
    assert lines[2] == (
        "2 seeds of A: where both systems have several, p and the interval are about training "
        "again, too; ± is the standard deviation over them"
    )


def test_the_record_is_flat_and_valid_json():
    record = comparison_record(report(row(), row(seeds=(0.001, 0.02), query_lang="de")))
    assert json.loads(json.dumps(record, allow_nan=False)) == {
        **record,
        "systems": [{"label": "A", "runs": ["a"]}, {"label": "B", "runs": ["b"]}],
        "notes": [],
    }
    first, second = record["rows"]
    assert set(first) == set(second) == set(ROW_COLUMNS)
    assert (first["interval_low"], first["seed_interval_low"]) == (0.0101, None)
    assert (second["query_lang"], second["seed_interval_high"]) == ("de", 0.02)
    assert (first["verdict"], first["p_holm"], first["queries"]) == ("better", 0.0004, 22)


def test_markdown():
    page = comparison_markdown(report(*LANGUAGES))
    assert page.startswith("# Differences in AP on xquad-r\n\n## B against A\n\n- B is better than")
    assert "| multilingual | AP      | sw             | 0.5000 |" in page
    assert "## How to read it\n\n- tests: 5" in page
    bare = comparison_markdown(report(row(), benchmark=None))
    assert bare.startswith("# Differences in AP\n")
