"""Which methods of an encoder differ from the baseline by more than chance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from isoglot.config.experiment import ExperimentConfig
from isoglot.config.schema import EvaluationConfig
from isoglot.evaluation.significance import default_permutations, holm
from isoglot.experiment.cells import Cell
from isoglot.pipeline.comparison import ComparisonOptions, System, run_comparison
from isoglot.reporting.differences import Difference, DifferenceReport

__all__ = ["Tested", "find_differences"]

_AT_A_TIME = 5
"""Systems that are read at once, beside the baseline: a run of XQuAD-R needs 40 MB."""
_FIGURES = 4
"""Most figures of a system: three settings and rank distance."""


class Tested(NamedTuple):
    """The methods of one encoder against the baseline, in one measure on one benchmark."""

    benchmark: EvaluationConfig
    encoder: str
    report: DifferenceReport


def find_differences(
    config: ExperimentConfig, cells: Sequence[Cell], root: Path
) -> Iterator[Tested]:
    """Test every method of an encoder against the baseline, seeds together as one system.

    Settings are tested, not single languages, so that the correction is for as few tests as the
    question needs. BM25 stands by itself and is not tested.

    Raises:
        IsoglotError: If an evaluation cannot be read.
    """
    for benchmark in config.benchmarks:
        for encoder in config.encoders:
            systems = _systems(config, cells, encoder.label, benchmark, root)
            if len(systems) < 2 or systems[0].label != config.tested_against:
                continue
            for measure in config.measures:
                yield Tested(benchmark, encoder.label, _compare(systems, measure))


def _systems(
    config: ExperimentConfig,
    cells: Sequence[Cell],
    encoder: str,
    benchmark: EvaluationConfig,
    root: Path,
) -> list[System]:
    """Return the methods of an encoder, the baseline first."""
    runs: dict[str, list[Path]] = {label: [] for label in config.labels}
    for cell in cells:
        if cell.encoder.label == encoder:
            runs[cell.method].append(root / cell.folder / benchmark.label)
    labels = sorted(runs, key=lambda label: label != config.tested_against)
    return [System(label, tuple(runs[label])) for label in labels]


def _compare(systems: Sequence[System], measure: str) -> DifferenceReport:
    """Compare all with the first: a few at a time, the p-values corrected over all of them."""
    baseline, *others = systems
    tests = _FIGURES * len(others)
    reports = [
        run_comparison(
            [baseline, *others[start : start + _AT_A_TIME]],
            ComparisonOptions(
                measure=measure,
                languages=False,
                permutations=default_permutations(tests, ComparisonOptions.alpha),
            ),
        )
        for start in range(0, len(others), _AT_A_TIME)
    ]
    rows = _corrected([row for report in reports for row in report.rows])
    compared = (reports[0].systems[0], *(s for report in reports for s in report.systems[1:]))
    notes = tuple(dict.fromkeys(note for report in reports for note in report.notes))
    return dataclasses.replace(reports[0], systems=compared, rows=rows, notes=notes)


def _corrected(rows: Sequence[Difference]) -> tuple[Difference, ...]:
    """Correct the p-values by Holm within each measure, which rank distance is one of."""
    corrected = np.empty(len(rows))
    measures = np.array([row.figure.measure for row in rows])
    p_values = np.array([row.p for row in rows])
    for measure in np.unique(measures):
        own = measures == measure
        corrected[own] = holm(p_values[own])
    pairs = zip(rows, corrected.tolist(), strict=True)
    return tuple(dataclasses.replace(row, p_holm=p_holm) for row, p_holm in pairs)
