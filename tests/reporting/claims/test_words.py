"""Differences turned round and told, verdicts joined, low-resource rows corrected."""

import pytest

from isoglot.data.published_counts import MIRACL_LANGS
from isoglot.languages import LOW_RESOURCE
from isoglot.reporting.by_resource import group_languages
from isoglot.reporting.claims.evidence import Compared, Trained
from isoglot.reporting.claims.low_resource import (
    count_all,
    language_table,
    pair_table,
    select_low_resource,
    summarize_low_resource,
)
from isoglot.reporting.claims.statements import STATEMENTS, Judgement, Line
from isoglot.reporting.claims.words import tell_difference, tell_verdicts, turn
from isoglot.reporting.differences import Difference, DifferenceReport, Figure, Interval


def difference(change, p, *, query_lang="sw", passage_lang=None, setting="multilingual", **more):
    figure = Figure(more.pop("measure", "AP"), setting, query_lang, passage_lang, 10)
    values = {"seed_interval": None, "p_holm": p, "alpha": 0.05, **more}
    return Difference(
        figure=figure,
        baseline="monolingual",
        system="hybrid",
        baseline_value=0.5,
        system_value=0.5 + change,
        baseline_deviation=None,
        system_deviation=0.01,
        difference=change,
        interval=Interval(change - 0.01, change + 0.01),
        p=p,
        **values,
    )


def test_a_difference_turned_round():
    row = difference(0.05, 0.01, seed_interval=Interval(0.02, 0.09))
    turned = turn(row)
    assert (turned.baseline, turned.system) == ("hybrid", "monolingual")
    assert (turned.baseline_value, turned.system_value) == (0.55, 0.5)
    assert (turned.difference, turned.interval.low) == (-0.05, pytest.approx(-0.06))
    assert turned.seed_interval == Interval(-0.09, -0.02)
    assert (row.verdict, turned.verdict) == ("better", "worse")
    assert turn(turned) == row


def test_a_difference_in_words():
    assert tell_difference(difference(0.05, 0.0001)) == (
        "better than monolingual: 0.5500 against 0.5000, +0.0500 [0.0400, 0.0600], p < .001 (Holm)"
    )
    assert tell_difference(difference(0.005, 0.3)) == (
        "no difference shown from monolingual: 0.5050 against 0.5000, +0.0050 [-0.0050, 0.0150], "
        "p = .300 (Holm)"
    )
    rows = [difference(0.05, 0.01), difference(-0.05, 0.01), difference(0.05, 0.2)]
    assert tell_verdicts(rows) == "better in 1, worse in 1, not shown in 1 of 3"


@pytest.mark.parametrize(
    ("verdicts", "joined"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "not testable here"], "not testable here"),
        (["not testable here", "does not hold"], "does not hold"),
        ([], "not testable here"),
    ],
)
def test_a_statement_holds_if_all_its_lines_do(verdicts, joined):
    lines = [Line(verdict, "why") for verdict in verdicts]
    beside = Line("does not hold", "shown only", counts=False)
    assert Judgement(STATEMENTS[0], [*lines, beside]).verdict == joined


def test_low_resource_languages_are_those_of_miracl_and_afriqa():
    # The languages of MIRACL that evaluations count as low-resource come first.
    of_miracl = group_languages("miracl", {}).members(MIRACL_LANGS)["low"]
    assert LOW_RESOURCE[:6] == tuple(of_miracl)
    assert {"bem", "fon", "ha", "ig", "rw", "tw", "zu"} <= set(LOW_RESOURCE)
    assert not {"en", "fr", "ko", "id"} & set(LOW_RESOURCE)


def low_resource(rows, langs=("sw", "yo")):
    report = DifferenceReport("small", "AP", (), tuple(rows), 10, 0.05, 100, 100, 0)
    compared = Compared(Trained("enc", None, {}), "small", "AP", {}, None, report, None, ())
    return select_low_resource([compared], langs)


def test_p_is_corrected_over_the_low_resource_rows_alone():
    rows = [
        difference(0.05, 0.02, query_lang="yo"),
        difference(0.05, 0.03, query_lang="en"),
        difference(0.05, 0.03, query_lang="en", passage_lang="sw", setting="cross-lingual"),
        difference(0.05, 0.01, query_lang=None),
        difference(-0.05, 0.004, query_lang="sw"),
    ]
    (part,) = low_resource(rows)
    # yo, en to sw, sw: .004 x 3, .02 x 2, .03 x 1, and none below the one before: .04.
    found = {(r.figure.query_lang, r.figure.passage_lang): r.p_holm for r in part.rows}
    assert found == pytest.approx({("yo", None): 0.04, ("en", "sw"): 0.04, ("sw", None): 0.012})
    assert part.langs == ("sw", "yo")
    assert count_all([part]) == (
        "of 3 comparisons in low-resource languages and pairs, hybrid batches are better in 2, "
        "worse in 1, and in 0 no difference is shown; p is corrected within an encoder and "
        "benchmark, and not across them"
    )
    assert list(summarize_low_resource(part)) == [
        "hybrid against monolingual batches: multilingual: better in 1, worse in 1, not shown in 0 "
        "of 2; pairs of languages: better in 1, worse in 0, not shown in 0 of 1"
    ]
    assert [row[2] for row in language_table(part).rows] == ["sw", "yo"]
    assert pair_table(part).rows[0][2:5] == ("en", "sw", "monolingual")


def test_pairs_without_a_difference_can_be_left_out():
    pair = {"passage_lang": "en", "setting": "cross-lingual"}
    (part,) = low_resource([difference(0.05, 0.9, **pair)])
    assert (len(pair_table(part).rows), len(pair_table(part, shown_only=True).rows)) == (1, 0)


def test_of_rank_distance_lower_is_better():
    row = difference(-0.05, 0.01, measure="rank distance")
    assert (row.verdict, turn(row).verdict) == ("better", "worse")


def test_other_languages_have_no_section():
    assert low_resource([difference(0.05, 0.01, query_lang="en")]) == []
