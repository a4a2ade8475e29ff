"""Heat maps as the page shows them: texts, classes of colours, legends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isoglot.languages import ALL_LANGUAGES
from isoglot.reporting.heat_maps import HeatMap, share_map
from isoglot.reporting.html.colours import STEPS, diverging_step, sequential_step
from isoglot.reporting.html.figures import decimal, signed
from isoglot.reporting.html.report import Report
from isoglot.reporting.html.runs import ReportRun

__all__ = ["Cell", "Legend", "MapView", "measure_views", "share_views"]


@dataclass(frozen=True)
class Cell:
    """One cell: its text and its classes of style."""

    text: str
    css: str


@dataclass(frozen=True)
class Legend:
    """The steps of a scale from left to right, and what its ends stand for."""

    steps: tuple[str, ...]
    low: str
    high: str


@dataclass(frozen=True)
class MapView:
    """A heat map, ready to be written as a table."""

    caption: str
    passage_langs: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    """Query language and its cells."""
    legend: Legend
    fair: tuple[str, ...] = ()
    """A last row: the expected share of each column."""

    @property
    def has_gaps(self) -> bool:
        """Whether a cell was not measured."""
        return any(not cell.text for _, cells in self.rows for cell in cells)


@dataclass(frozen=True)
class _Scale:
    bound: float
    is_difference: bool = False

    def css(self, value: float) -> str:
        if self.is_difference:
            return f"d{diverging_step(value, self.bound)}"
        return f"s{sequential_step(value, self.bound)}"

    @property
    def legend(self) -> Legend:
        name = "d" if self.is_difference else "s"
        steps = tuple(f"{name}{step}" for step in range(STEPS))
        if self.is_difference:
            return Legend(
                steps, f"{signed(-self.bound, 2)} worse", f"{signed(self.bound, 2)} better"
            )
        return Legend(steps, "0", decimal(self.bound, 2))


def measure_views(report: Report) -> list[MapView]:
    """Return one map per run on one scale, then the differences from the first on another."""
    maps, differences = report.maps, report.difference_maps
    scale = _Scale(_round_up(max(found.largest for found in maps), 0.1))
    views = [
        _view(found, f"{run.label}: {report.measure}", scale)
        for run, found in zip(report.runs, maps, strict=True)
    ]
    largest = max((found.largest for found in differences), default=0.0)
    by_difference = _Scale(_round_up(largest, 0.01), is_difference=True)
    first = report.runs[0].label
    return views + [
        _view(found, f"{run.label} − {first}: difference in {report.measure}", by_difference)
        for run, found in zip(report.runs[1:], differences, strict=True)
    ]


def share_views(runs: Sequence[ReportRun], key: str) -> list[MapView]:
    """Return the shares of passage languages by query language, one map per run that has them.

    Args:
        runs: In the order of the page.
        key: ``"language_share"``, with the shares of the pool as a last row, or ``"confusion"``.
    """
    shares = {run.label: _shares(run, key) for run in runs}
    maps = {label: share_map(found) for label, (found, _) in shares.items() if found}
    scale = _Scale(_round_up(max((found.largest for found in maps.values()), default=1.0), 0.1))
    return [
        _view(found, label, scale, percent=True, expected=shares[label][1])
        for label, found in maps.items()
    ]


def _shares(
    run: ReportRun, key: str
) -> tuple[Mapping[str, Mapping[str, float]], Mapping[str, float]]:
    share = run.bias.get("language_share") or {}
    found = (run.bias.get(key) or {}) if key == "confusion" else share.get("by_query_lang") or {}
    return found, share.get("expected") or {}


def _view(
    found: HeatMap,
    caption: str,
    scale: _Scale,
    *,
    percent: bool = False,
    expected: Mapping[str, float] | None = None,
) -> MapView:
    def cell(query_lang: str, passage_lang: str) -> Cell:
        value = found.get(query_lang, passage_lang)
        place = " own" if query_lang == passage_lang else ""
        place = " all" if passage_lang == ALL_LANGUAGES else place
        if value is None:
            return Cell("", f"none{place}")
        text = _percent(value) if percent else (signed if scale.is_difference else decimal)(value)
        return Cell(text, scale.css(value) + place)

    legend = scale.legend
    if percent:
        legend = Legend(legend.steps, "0\u202f%", f"{100 * scale.bound:.0f}\u202f%")
    return MapView(
        caption=caption,
        passage_langs=found.passage_langs,
        rows=tuple(
            (lang, tuple(cell(lang, other) for other in found.passage_langs))
            for lang in found.query_langs
        ),
        legend=legend,
        fair=tuple(_percent(expected.get(lang, 0.0)) for lang in found.passage_langs)
        if expected
        else (),
    )


def _percent(share: float) -> str:
    """Return whole percent without the sign: the caption says what it is."""
    return f"{100 * share:.0f}"


def _round_up(value: float, step: float) -> float:
    """Return the end of a scale: the next multiple of ``step``, at least one step."""
    return max(math.ceil(value / step - 1e-9), 1) * step
