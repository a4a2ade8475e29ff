"""Plots of an experiment as SVG: a sweep of ``monolingual_share``, and methods against a baseline.

Equal data give equal bytes. Text stays text, the colours are those of Okabe and Ito, which colour
blind readers can tell apart, and ink and background change together where a reader prefers dark
pages. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import contextlib
import io
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.artifacts import write_text
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.differences import VERDICTS, Difference
from isoglot.reporting.tables import RANK_DISTANCE

__all__ = [
    "FIGURES",
    "MethodEffect",
    "SeedMean",
    "SweepPoint",
    "method_effects",
    "plot_methods",
    "plot_sweep",
    "seed_mean",
]

FIGURES = (*SETTINGS, RANK_DISTANCE)
"""What is drawn, a panel each: a measure in the three settings, and rank distance."""

_LEVEL = 0.95
_INK, _PAPER, _GRID = "#1f2328", "#ffffff", "#d1d9e0"
_DARK = {_INK: "#e6edf3", _PAPER: "#0d1117", _GRID: "#3d444d"}
"""The same three on a dark page."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, those first that are seen best on both white and black."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_VERDICT_STYLES = {
    "better": (_COLOURS[0], _COLOURS[0], "o"),
    "worse": (_COLOURS[1], _COLOURS[1], "s"),
    "not shown": (_INK, _PAPER, "o"),
    None: (_INK, _INK, "o"),
}
"""Colour of the line, of the inside of the mark, and the mark's form."""
_SVG_OPTIONS = {"svg.hashsalt": "isoglot", "svg.fonttype": "none"}


@dataclass(frozen=True)
class SweepPoint:
    """One figure of one trained and evaluated model."""

    encoder: str
    share: float
    """``monolingual_share`` it was trained with."""
    seed: int
    figure: str
    """One of `FIGURES`."""
    value: float


@dataclass(frozen=True)
class MethodEffect:
    """What a method changes in one figure of the baseline."""

    label: str
    figure: str
    """One of `FIGURES`."""
    difference: float
    """Method minus baseline: in the measure; of rank distance in % of the baseline's."""
    low: float
    """Ends of the difference's interval, in its unit."""
    high: float
    verdict: str | None = None
    """``better``, ``worse`` or ``not shown``; None where it was not tested."""


class SeedMean(NamedTuple):
    """A mean over seeds and half the width of its interval; 0 for one seed, which has none."""

    mean: float
    margin: float


def seed_mean(values: Sequence[float]) -> SeedMean:
    """Return the mean over seeds with Student's 95 % interval: mean ± t(n - 1) s / sqrt(n).

    Args:
        values: One per seed, at least one.
    """
    from scipy import stats

    mean = statistics.fmean(values)
    if len(values) < 2:
        return SeedMean(mean, 0.0)
    quantile = float(stats.t.ppf((1 + _LEVEL) / 2, len(values) - 1))
    return SeedMean(mean, quantile * statistics.stdev(values) / math.sqrt(len(values)))


def method_effects(rows: Iterable[Difference]) -> list[MethodEffect]:
    """Return what a comparison shows over all languages, ready to draw.

    Rank distance is given in % of the baseline's, because its size depends on the collection.
    Intervals are over seeds too where there are several.

    Args:
        rows: Rows of a comparison, such as ``run_comparison(...).rows``; those of single languages
            are passed over.

    Raises:
        DataError: If the baseline's rank distance is 0, of which nothing is a percentage.
    """
    effects = []
    for row in rows:
        if row.figure.query_lang is not None:
            continue
        ranks = row.figure.measure == RANK_DISTANCE
        if ranks and row.baseline_value == 0:
            raise DataError(
                f"{row.baseline}: its rank distance is 0, so that of {row.system} cannot be given "
                "in % of it; choose another baseline"
            )
        scale = 100 / row.baseline_value if ranks else 1.0
        interval = row.decisive_interval
        effects.append(
            MethodEffect(
                label=row.system,
                figure=RANK_DISTANCE if ranks else row.figure.setting,
                difference=scale * row.difference,
                low=scale * interval.low,
                high=scale * interval.high,
                verdict=row.verdict,
            )
        )
    return effects


def plot_sweep(points: Iterable[SweepPoint], path: Path, *, measure: str = "AP") -> None:
    """Draw figures by ``monolingual_share``: a panel per figure, a line per encoder.

    A point is the mean over seeds, its bar Student's 95 % interval over seeds.

    Args:
        points: At least one; figures without a point have no panel.
        path: SVG file, written atomically.
        measure: The measure of the three settings, for their titles.

    Raises:
        ConfigError: If Matplotlib is not installed.
        DataError: If there is no point, a figure is unknown, a model comes twice, or a value is no
            number.
        ArtifactError: If the file cannot be written.
    """
    points = list(points)
    encoders = list(dict.fromkeys(point.encoder for point in points))
    figures = _present(path, points)
    series = _sweep_series(path, points)
    rows = math.ceil(len(figures) / 2)
    with _canvas((8.0 if len(figures) > 1 else 4.6, 2.7 * rows + 0.5)) as figure:
        grid = figure.subplots(rows, min(len(figures), 2), squeeze=False)
        for name, axes in zip(figures, grid.flat, strict=False):
            for number, encoder in enumerate(encoders):
                _draw_series(axes, number, encoder, series.get((name, encoder), {}))
            _label(axes, name, measure)
            axes.set_xlabel("monolingual_share")
            axes.set_xlim(-0.04, 1.04)
            axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        for axes in grid.flat[len(figures) :]:
            axes.set_axis_off()
        _add_legend(figure, grid.flat[0], len(encoders))
        _save(figure, path, f"{measure} and rank distance by monolingual_share")


def plot_methods(
    effects: Iterable[MethodEffect], path: Path, *, baseline: str = "hybrid", measure: str = "AP"
) -> None:
    """Draw what each method changes: a panel per figure, a dot and its interval per method.

    Args:
        effects: At least one; methods stand in the order in which they first come, from above.
        path: SVG file, written atomically.
        baseline: What the methods are compared with, for the axes.
        measure: The measure of the three settings, for their titles.

    Raises:
        ConfigError: If Matplotlib is not installed.
        DataError: If there is no effect, a figure or verdict is unknown, a method comes twice in a
            panel, or a number is none.
        ArtifactError: If the file cannot be written.
    """
    effects = list(effects)
    labels = list(dict.fromkeys(effect.label for effect in effects))
    figures = _present(path, effects)
    _check_effects(path, effects)
    # Inches: what the longest label takes, and as much for every panel however long it is.
    width = 0.5 + 0.075 * max(map(len, labels)) + 1.9 * len(figures)
    with _canvas((width, 0.3 * len(labels) + 1.5)) as figure:
        grid = figure.subplots(1, len(figures), sharey=True, squeeze=False)
        for name, axes in zip(figures, grid.flat, strict=True):
            for effect in effects:
                if effect.figure == name:
                    _draw_effect(axes, labels.index(effect.label), effect)
            axes.axvline(0, color=_INK, linewidth=0.8, zorder=1)
            _label(axes, name, measure)
            unit = "%" if name == RANK_DISTANCE else measure
            axes.set_xlabel(f"difference to\n{baseline} ({unit})")
            axes.locator_params(axis="x", nbins=3)  # labels of more would touch
        first = grid.flat[0]
        first.set_yticks(range(len(labels)), labels)
        first.set_ylim(len(labels) - 0.5, -0.5)
        _add_verdicts(figure, {effect.verdict for effect in effects})
        _save(figure, path, f"Differences in {measure} and rank distance to {baseline}")


def _present(path: Path, rows: Sequence[SweepPoint] | Sequence[MethodEffect]) -> list[str]:
    """Return the figures that have something to draw, in their order."""
    if not rows:
        raise DataError(f"{path}: nothing to draw; give one result or more")
    found = {row.figure for row in rows}
    if unknown := sorted(found - set(FIGURES)):
        raise DataError(
            f"{path}: no figure is called {unknown[0]!r}; allowed: {', '.join(FIGURES)}"
        )
    return [name for name in FIGURES if name in found]


def _sweep_series(
    path: Path, points: Iterable[SweepPoint]
) -> dict[tuple[str, str], dict[float, SeedMean]]:
    """Return the means by share, shares rising, by figure and encoder."""
    values: dict[tuple[str, str], dict[float, dict[int, float]]] = defaultdict(dict)
    for point in points:
        what = f"{point.encoder}, monolingual_share {point.share:g}, seed {point.seed}"
        seeds = values[point.figure, point.encoder].setdefault(point.share, {})
        if point.seed in seeds:
            raise DataError(f"{path}: {what}: {point.figure} is given twice; keep one value")
        if not (math.isfinite(point.value) and 0 <= point.share <= 1):
            raise DataError(
                f"{path}: {what}: cannot draw {point.figure} {point.value:g}; shares are from 0 "
                "to 1, values finite numbers"
            )
        seeds[point.seed] = point.value
    return {
        key: {share: seed_mean(list(found[share].values())) for share in sorted(found)}
        for key, found in values.items()
    }


def _check_effects(path: Path, effects: Iterable[MethodEffect]) -> None:
    seen = set()
    for effect in effects:
        where = f"{path}: {effect.label}, {effect.figure}"
        if effect.verdict not in _VERDICT_STYLES:
            allowed = ", ".join(VERDICTS)
            raise DataError(f"{where}: unknown verdict {effect.verdict!r}; allowed: {allowed}")
        if not all(map(math.isfinite, (effect.difference, effect.low, effect.high))):
            raise DataError(
                f"{where}: cannot draw {effect.difference:g} [{effect.low:g}, {effect.high:g}]; "
                "differences and intervals are finite numbers"
            )
        if (effect.label, effect.figure) in seen:
            raise DataError(f"{where}: is given twice; give methods different labels")
        seen.add((effect.label, effect.figure))


@contextlib.contextmanager
def _canvas(size: tuple[float, float]) -> Iterator[Any]:
    """Yield an empty figure of a size in inches, in our style and in no other.

    A user's own Matplotlib settings change nothing, so that equal data give equal files.

    Raises:
        ConfigError: If Matplotlib is not installed.
    """
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plots need Matplotlib, which is not installed; pip install 'isoglot[plots]'"
        ) from error
    ink = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    )
    paper = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), _PAPER)
    spines = {"axes.spines.top": False, "axes.spines.right": False}
    grid = {"axes.grid": True, "axes.axisbelow": True, "grid.color": _GRID, "grid.linewidth": 0.6}
    sizes = {"font.size": 9, "axes.titlesize": 10, "legend.frameon": False}
    with style.context(["default", _SVG_OPTIONS | ink | paper | spines | grid | sizes]):
        yield Figure(figsize=size, layout="constrained")


def _draw_series(axes: Any, number: int, label: str, means: dict[float, SeedMean]) -> None:  # noqa: ANN401
    axes.errorbar(
        list(means),
        [mean.mean for mean in means.values()],
        yerr=[mean.margin for mean in means.values()],
        label=label,
        color=_COLOURS[number % len(_COLOURS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4.5,
        linewidth=1.5,
        elinewidth=1,
        capsize=2.5,
    )


def _draw_effect(axes: Any, place: int, effect: MethodEffect) -> None:  # noqa: ANN401
    colour, inside, marker = _VERDICT_STYLES[effect.verdict]
    axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=1.5, zorder=2)
    axes.plot(
        [effect.difference],
        [place],
        linestyle="none",
        marker=marker,
        markersize=5.5,
        color=colour,
        markerfacecolor=inside,
        zorder=3,
    )


def _label(axes: Any, name: str, measure: str) -> None:  # noqa: ANN401
    lower = name == RANK_DISTANCE
    axes.set_title(
        f"{name}\n(lower is better)" if lower else f"{name} {measure}\n(higher is better)",
        linespacing=1.3,
    )


def _add_legend(figure: Any, axes: Any, columns: int) -> None:  # noqa: ANN401
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, 4))


def _add_verdicts(figure: Any, verdicts: set[str | None]) -> None:  # noqa: ANN401
    """Say what the marks mean, where anything was tested."""
    from matplotlib.lines import Line2D

    handles = []
    for verdict in VERDICTS:
        if verdict in verdicts:
            colour, inside, marker = _VERDICT_STYLES[verdict]
            handles.append(
                Line2D([], [], color=colour, marker=marker, markerfacecolor=inside, label=verdict)
            )
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _save(figure: Any, path: Path, title: str) -> None:  # noqa: ANN401
    """Write the figure with colours for dark pages; without date and Matplotlib's version."""
    metadata = {"Title": title, "Date": None, "Creator": "isoglot"}
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=metadata)
    rules = "".join(
        f'[style*="{key}: {light}"]{{{key}: {dark} !important}}\n'
        for light, dark in _DARK.items()
        for key in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>\n"
    head, end, rest = buffer.getvalue().partition("</metadata>\n")
    write_text(path, f"{head}{end} {style}{rest}")
