"""Many systems against one: a table per figure, with what each difference is worth."""

from isoglot.reporting.against_baseline import baseline_markdown, baseline_tables
from isoglot.reporting.differences import (
    ComparedSystem,
    Difference,
    DifferenceReport,
    Figure,
    Interval,
)


def row(system, figure, values, interval, p_holm, seed_interval=None):
    baseline, value = values
    return Difference(
        figure=figure,
        baseline="hybrid",
        system=system,
        baseline_value=baseline,
        system_value=value,
        baseline_deviation=0.01,
        system_deviation=None,
        difference=value - baseline,
        interval=Interval(*interval),
        seed_interval=seed_interval and Interval(*seed_interval),
        p=p_holm / 4,
        p_holm=p_holm,
        alpha=0.05,
    )


MULTILINGUAL = Figure("AP", "multilingual", None, None, 12)
RANKS = Figure("rank distance", "multilingual", None, None, 12)
ROWS = (
    row("kl", MULTILINGUAL, (0.5, 0.52), (0.01, 0.03), 0.0004),
    row("kl", RANKS, (200.0, 150.0), (-60.0, -40.0), 0.0004),
    row("warm", MULTILINGUAL, (0.5, 0.495), (-0.01, -0.001), 0.04, (-0.02, 0.01)),
    row("warm", RANKS, (200.0, 210.0), (2.0, 18.0), 0.04),
    row("warm", Figure("AP", "multilingual", "sw", None, 6), (0.5, 0.4), (-1, 1), 0.9),
)


def report(rows=ROWS):
    systems = tuple(ComparedSystem(label, ()) for label in ("hybrid", "kl", "warm"))
    return DifferenceReport("mini", "AP", systems, rows, 6, 0.05, 1000, 500, 7, ("a note",))


def test_a_table_per_figure_has_the_baseline_first_and_a_row_per_system():
    (first, table), (second, ranks) = baseline_tables(report())
    assert (first, second) == ("multilingual AP", "rank distance")
    assert table.columns == (
        *("batches", "value", "difference", "in %", "95 % interval", "p (Holm)", "verdict"),
    )
    assert table.rows == (
        ("hybrid", "0.5000 ± 0.0100", "", "", "", "", "baseline"),
        ("kl", "0.5200", "+0.0200", "+4.0", "[+0.0100, +0.0300]", "< .001", "better"),
        # The interval over seeds decides, and holds 0.
        ("warm", "0.4950", "-0.0050", "-1.0", "[-0.0200, +0.0100]", ".040", "not shown"),
    )
    # 150 ranks apart instead of 200: a quarter less, and less is better.
    assert ranks.rows[1][2:] == ("-50.0", "-25.0", "[-60.0, -40.0]", "< .001", "better")
    assert ranks.rows[2][-1] == "worse"


def test_nothing_is_a_percentage_of_0():
    only = (row("kl", RANKS, (0.0, 5.0), (1.0, 9.0), 0.01),)
    ((_, table),) = baseline_tables(report(only))
    assert table.rows[1][3] == "–"


def test_a_section_names_the_baseline_and_says_how_it_was_made():
    text = baseline_markdown(report(), "xquad-r, mini")
    assert text.startswith(
        "## xquad-r, mini, AP, against hybrid\n\n### multilingual AP\n\n| batches"
    )
    assert "5 tests, 6 query ids, 1,000 permutations, 500 resamples, seed 7." in text
    assert text.endswith("- a note\n")
