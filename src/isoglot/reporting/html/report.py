"""The content of a report: runs of one benchmark, seen through one measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.heat_maps import HeatMap, difference_map, measure_map
from isoglot.reporting.html.headline import join_words
from isoglot.reporting.html.intervals import Estimate, estimate_difference
from isoglot.reporting.html.runs import (
    ReportRun,
    check_comparable,
    choose_measure,
    name_runs,
)

__all__ = ["Report", "SettingsBlock", "build_report"]


@dataclass(frozen=True)
class SettingsBlock:
    """The figures of one run in all settings, or its differences from the first run."""

    label: str
    is_difference: bool
    estimates: Mapping[tuple[str, str], Estimate]
    """By setting and measure."""
    settings: tuple[str, ...]
    """The settings that have a figure, in their usual order."""


@dataclass(frozen=True)
class Report:
    """All that the page and the tables are made from."""

    title: str
    measure: str
    """The measure of the headline and of the heat maps."""
    measures: tuple[str, ...]
    """The measures of all runs; ``measure`` is the first."""
    runs: tuple[ReportRun, ...]
    blocks: tuple[SettingsBlock, ...]
    """One per run, then one per difference from the first run."""

    @property
    def maps(self) -> list[HeatMap]:
        """The measure by query and passage language, by run."""
        return [measure_map(run.evaluation.settings, self.measure) for run in self.runs]

    @property
    def difference_maps(self) -> list[HeatMap]:
        """The maps of the second run and those after it, less that of the first.

        Of runs of limited depth only the pool of all languages is known to the same depth.
        """
        is_cut = self.runs[0].metrics.get("depth") is not None
        first, *others = [found.mixed_pool() if is_cut else found for found in self.maps]
        return [difference_map(other, first) for other in others]

    @property
    def differences(self) -> tuple[SettingsBlock, ...]:
        """The blocks that hold differences."""
        return tuple(block for block in self.blocks if block.is_difference)


def build_report(
    named: Sequence[tuple[str | None, Path]],
    *,
    title: str | None = None,
    measure: str | None = None,
) -> Report:
    """Read evaluations and compute what the page needs beyond their files: intervals.

    Args:
        named: Name on the page (default: the model's) and folder of each evaluation. Differences
            are from the first.
        title: Of the page; default: the names and the benchmark.
        measure: For headline and heat maps; default: AP, else the first that all runs hold.

    Raises:
        ConfigError: If there are no runs, names repeat, runs differ in depth, or the measure is no
            measure.
        ArtifactError: If a folder holds no complete evaluation.
        DataError: If the runs are of different collections, or one lacks the measure.
    """
    runs = name_runs(named)
    check_comparable(runs)
    measure = choose_measure(runs, measure)
    shared = [name for name in runs[0].measures if all(name in run.measures for run in runs)]
    names = join_words([r.label for r in runs]) if len(runs) < 3 else f"{len(runs)} evaluations"
    return Report(
        title=title or f"{names} on {runs[0].metrics['benchmark']}",
        measure=measure,
        measures=(measure, *(name for name in shared if name != measure)),
        runs=tuple(runs),
        blocks=(
            *(_block(run.label, run.estimates) for run in runs),
            *(
                _block(
                    f"{run.label} − {runs[0].label}",
                    _known_differences(run, runs[0]),
                    is_difference=True,
                )
                for run in runs[1:]
            ),
        ),
    )


def _known_differences(run: ReportRun, first: ReportRun) -> dict[tuple[str, str], Estimate]:
    """Return the differences; of runs of limited depth those in the pool of all languages only.

    What such a run holds of one language is the more, the more it prefers that language.
    """
    found = estimate_difference(run.values, first.values)
    if run.metrics.get("depth") is None:
        return found
    return {key: value for key, value in found.items() if key[0] == SETTINGS[-1]}


def _block(
    label: str, estimates: Mapping[tuple[str, str], Estimate], *, is_difference: bool = False
) -> SettingsBlock:
    present = {setting for setting, _ in estimates}
    settings = tuple(setting for setting in SETTINGS if setting in present)
    return SettingsBlock(label, is_difference, estimates, settings)
