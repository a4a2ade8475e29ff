import builtins
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import pytest
from scipy import stats

from isoglot.errors import ConfigError, DataError
from isoglot.reporting.differences import Difference, Figure, Interval
from isoglot.reporting.plots import (
    FIGURES,
    MethodEffect,
    SweepPoint,
    method_effects,
    plot_methods,
    plot_sweep,
    seed_mean,
)

POINTS = [
    SweepPoint(encoder, share, seed, figure, value + share / 10 + seed / 100)
    for encoder, value in (("mini", 0.3), ("LaBSE", 0.5))
    for share in (0, 0.5, 1)
    for seed in (0, 1, 2)
    for figure in FIGURES
]
EFFECTS = [MethodEffect("reversed", figure, 0.02, 0.01, 0.03, "better") for figure in FIGURES] + [
    MethodEffect("mean removal", "monolingual", -0.02, -0.03, -0.01, "worse"),
    MethodEffect("mean removal", "rank distance", -25.0, -60.0, 10.0, "not shown"),
]


def texts_of(path):
    """Every piece of text in an SVG file, in the order of the file."""
    return [text for e in ET.parse(path).iter() if e.tag.endswith("}text") for text in e.itertext()]


def row(measure="AP", setting="multilingual", query_lang=None, **changes):
    found = Difference(
        figure=Figure(measure, setting, query_lang, None, 10),
        baseline="hybrid",
        system="reversed",
        baseline_value=0.5,
        system_value=0.52,
        baseline_deviation=None,
        system_deviation=None,
        difference=0.02,
        interval=Interval(0.01, 0.03),
        seed_interval=None,
        p=0.001,
        p_holm=0.001,
        alpha=0.05,
    )
    return replace(found, **changes)


def test_the_interval_over_three_seeds_by_hand():
    # mean .2, standard deviation .1, t(.975, 2 degrees) 4.3027; 4.3027 * .1 / sqrt(3) = .2484
    mean, margin = seed_mean([0.1, 0.2, 0.3])
    assert mean == pytest.approx(0.2)
    assert margin == pytest.approx(0.2484, abs=5e-5)


def test_the_interval_is_that_of_scipy():
    values = [0.31, 0.28, 0.35, 0.3, 0.29]
    mean, margin = seed_mean(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - margin, mean + margin) == pytest.approx((low, high))


def test_one_seed_has_no_interval():
    assert seed_mean([0.4]) == (0.4, 0.0)


def test_a_sweep_has_a_panel_per_figure_and_names_its_encoders(tmp_path):
    plot_sweep(POINTS, tmp_path / "sweep.svg", measure="nDCG@10")
    texts = texts_of(tmp_path / "sweep.svg")
    assert texts.count("monolingual_share") == 4
    titles = ["monolingual nDCG@10", "cross-lingual nDCG@10", "multilingual nDCG@10"]
    assert [text for text in texts if text in {*titles, "rank distance"}] == [
        *titles,
        "rank distance",
    ]
    assert texts.count("(higher is better)") == 3
    assert texts.count("(lower is better)") == 1
    assert texts[-2:] == ["mini", "LaBSE"]


def test_figures_and_encoders_without_results_are_left_out_of_the_panels(tmp_path):
    points = [p for p in POINTS if p.figure == "multilingual" or p.encoder == "LaBSE"]
    points = [p for p in points if p.figure in ("monolingual", "multilingual", "rank distance")]
    plot_sweep(points, tmp_path / "sweep.svg")
    texts = texts_of(tmp_path / "sweep.svg")
    assert texts.count("monolingual_share") == 3
    assert {"mini", "LaBSE"} <= set(texts)
    plot_sweep([SweepPoint("mini", 0.5, 0, "multilingual", 0.4)], tmp_path / "one.svg")
    assert texts_of(tmp_path / "one.svg").count("monolingual_share") == 1


def test_methods_stand_in_their_order_with_their_verdicts(tmp_path):
    plot_methods(EFFECTS, tmp_path / "methods.svg")
    texts = texts_of(tmp_path / "methods.svg")
    assert [t for t in texts if t in ("reversed", "mean removal")] == ["reversed", "mean removal"]
    assert texts.count("hybrid (AP)") == 3
    assert texts.count("hybrid (%)") == 1
    assert texts[-3:] == ["better", "worse", "not shown"]


def test_effects_that_were_not_tested_have_no_verdicts(tmp_path):
    plot_methods([replace(EFFECTS[0], verdict=None)], tmp_path / "methods.svg")
    assert not {"better", "worse", "not shown"} & set(texts_of(tmp_path / "methods.svg"))


@pytest.mark.parametrize("draw", [plot_sweep, plot_methods])
def test_equal_results_give_equal_bytes_whatever_the_users_settings(tmp_path, draw):
    results = POINTS if draw is plot_sweep else EFFECTS
    draw(results, tmp_path / "a.svg")
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "svg.hashsalt": "x"}):
        draw(results, tmp_path / "b.svg")
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    assert not re.search(rb"dc:date|Matplotlib v", first)


@pytest.mark.parametrize("draw", [plot_sweep, plot_methods])
def test_every_colour_is_of_the_palette_or_has_a_dark_one(tmp_path, draw):
    draw(POINTS if draw is plot_sweep else EFFECTS, tmp_path / "plot.svg")
    root = ET.parse(tmp_path / "plot.svg").getroot()
    inline = " ".join(element.get("style", "") for element in root.iter())
    used = set(re.findall(r"(?:fill|stroke): (#\w+)", inline))
    dark = "".join(e.text or "" for e in root.iter() if e.tag.endswith("}style"))
    assert "prefers-color-scheme: dark" in dark
    changed = set(re.findall(r'\*="(?:fill|stroke): (#\w+)"', dark))
    assert used - changed <= {"#0072b2", "#d55e00"}
    assert {"#1f2328", "#ffffff"} <= used & changed
    assert "stroke-opacity" not in inline  # matplotlib's way to write colours that are see-through


def test_effects_of_a_comparison():
    ranks = row(
        "rank distance",
        baseline_value=200.0,
        difference=-50.0,
        interval=Interval(-60.0, -40.0),
        seed_interval=Interval(-90.0, 10.0),
    )
    mono = row(setting="monolingual", difference=-0.02, interval=Interval(-0.03, -0.01))
    assert method_effects([mono, row(), row(query_lang="sw"), ranks]) == [
        MethodEffect("reversed", "monolingual", -0.02, -0.03, -0.01, "worse"),
        MethodEffect("reversed", "multilingual", 0.02, 0.01, 0.03, "better"),
        # 50 of 200 is a quarter; the interval over seeds too is the one that decides
        MethodEffect("reversed", "rank distance", -25.0, -45.0, 5.0, "not shown"),
    ]


def test_no_percentage_of_a_rank_distance_of_0():
    with pytest.raises(DataError, match="hybrid: its rank distance is 0, so that of reversed"):
        method_effects([row("rank distance", baseline_value=0.0)])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "nothing to draw; give one result or more"),
        (
            [replace(POINTS[0], figure="bilingual")],
            "no figure is called 'bilingual'; allowed: monolingual, cross-lingual, multilingual, r",
        ),
        (
            [POINTS[0], POINTS[0]],
            "mini, monolingual_share 0, seed 0: monolingual is given twice; keep one value",
        ),
        (
            [replace(POINTS[0], value=float("nan"))],
            "cannot draw monolingual nan; shares are from 0 to 1, values finite numbers",
        ),
        ([replace(POINTS[0], share=1.5)], "monolingual_share 1.5, seed 0: cannot draw"),
    ],
)
def test_a_sweep_that_cannot_be_drawn(tmp_path, points, message):
    with pytest.raises(DataError, match=re.escape(message)):
        plot_sweep(points, tmp_path / "sweep.svg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("effects", "message"),
    [
        ([], "nothing to draw; give one result or more"),
        ([replace(EFFECTS[0], figure="x")], "no figure is called 'x'"),
        (
            [replace(EFFECTS[0], verdict="good")],
            "reversed, monolingual: unknown verdict 'good'; allowed: better, worse, not shown",
        ),
        (
            [replace(EFFECTS[0], low=float("inf"))],
            "reversed, monolingual: cannot draw 0.02 [inf, 0.03]; differences and intervals are",
        ),
        (
            [EFFECTS[0], EFFECTS[0]],
            "reversed, monolingual: is given twice; give methods different labels",
        ),
    ],
)
def test_methods_that_cannot_be_drawn(tmp_path, effects, message):
    with pytest.raises(DataError, match=re.escape(message)):
        plot_methods(effects, tmp_path / "methods.svg")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"pip install 'isoglot\[plots\]'"):
        plot_sweep(POINTS, tmp_path / "sweep.svg")
