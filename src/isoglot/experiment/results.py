"""What an experiment shows: tables, tested differences and plots, from the folders of its cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from isoglot.artifacts import read_json, write_json, write_text
from isoglot.config.experiment import UNTRAINED, ExperimentConfig
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.evaluate import SettingRow
from isoglot.evaluation.outputs import METRICS, SETTINGS_TABLE, read_table, write_table
from isoglot.evaluation.settings import SETTINGS
from isoglot.experiment.cells import Cell
from isoglot.experiment.significance import Tested, find_differences
from isoglot.reporting.against_baseline import baseline_markdown
from isoglot.reporting.by_language import compare_languages
from isoglot.reporting.differences import ROW_COLUMNS, comparison_record
from isoglot.reporting.plots import SweepPoint, method_effects, plot_methods, plot_sweep
from isoglot.reporting.tables import RANK_DISTANCE, Comparison, RunResult, compare

__all__ = ["write_results"]

_UNTESTED = (
    "Differences from the baseline stand in brackets. They are of single languages and not tested "
    "here: `isoglot compare` tests those of any two evaluations by language, `isoglot claims` "
    "those of hybrid batches by language and pair.\n"
)


def write_results(
    config: ExperimentConfig,
    cells: Sequence[Cell],
    root: Path,
    report: Callable[[str], object],
) -> list[Comparison]:
    """Write what all cells together show.

    ``comparison.md`` and ``.csv``: a row per method. ``languages.md`` and ``low_resource.md``: by
    query language. ``significance.md``, ``differences.json`` and ``.parquet``: every method against
    the baseline. ``methods.svg`` and ``sweep.svg``: the same drawn, and the shares.

    Args:
        config: The experiment.
        cells: Its cells, all evaluated.
        root: Its folder.
        report: Takes a line about what is happening.

    Returns:
        A comparison per measure.

    Raises:
        IsoglotError: If results cannot be read or written.
    """
    results = [
        _result(cell, benchmark.title, root / cell.folder / benchmark.label)
        for cell in cells
        for benchmark in config.benchmarks
    ]
    comparisons = [
        compare(results, measure=measure, order=config.labels) for measure in config.measures
    ]
    _write_tables(config, comparisons, results, root)
    tested = list(find_differences(config, cells, root))
    _write_differences(tested, root)
    for plot in (*root.glob("sweep*.svg"), *root.glob("methods*.svg")):
        plot.unlink()  # of a measure or a benchmark that may no longer be asked for
    for draw, path in (*_sweeps(config, results, root), *_effects(config, tested, root)):
        try:
            draw(path)
        except (ConfigError, DataError) as error:  # the figures are in the tables all the same
            report(f"{path.name} is not drawn: {error}")
    return comparisons


def _result(cell: Cell, benchmark: str, folder: Path) -> RunResult:
    """Read the figures of a cell, without those of single queries."""
    settings = read_table(folder / SETTINGS_TABLE)
    return RunResult(
        encoder=cell.encoder.label,
        batches=cell.method,
        seed=cell.seed,
        benchmark=benchmark,
        metrics=read_json(folder / METRICS),
        settings=tuple(SettingRow(**row) for row in settings.to_pylist()),
    )


def _write_tables(
    config: ExperimentConfig,
    comparisons: Sequence[Comparison],
    results: Sequence[RunResult],
    root: Path,
) -> None:
    """Write the comparison and the tables by language, one of each per measure."""
    sections = [f"## {found.measure}\n\n{found.table().to_markdown()}" for found in comparisons]
    write_text(root / "comparison.md", "\n".join(sections))
    data = [comparison.data() for comparison in comparisons]
    rows = tuple(row for table in data for row in table.rows)
    write_text(root / "comparison.csv", replace(data[0], rows=rows).to_csv())
    low = {"langs": config.low_resource, "baseline": config.tested_against}
    for name, options in (("languages.md", {}), ("low_resource.md", low)):
        parts = [_UNTESTED] if options is low else []
        parts += _language_sections(config, results, options)
        write_text(root / name, "\n".join(parts))


def _language_sections(
    config: ExperimentConfig, results: Sequence[RunResult], options: Mapping[str, Any]
) -> Iterator[str]:
    for measure in config.measures:
        found = compare_languages(results, measure=measure, order=config.labels, **options)
        for (benchmark, encoder), tables in found.items():
            yield f"## {benchmark}, {encoder}, {measure}\n"
            for title, table in tables.items():
                yield f"### {title}\n\n{table.to_markdown()}"


def _write_differences(tested: Sequence[Tested], root: Path) -> None:
    """Write the tests to read and to compute with."""
    import pyarrow as pa

    pages = [
        baseline_markdown(one.report, f"{one.benchmark.title}, {one.encoder}") for one in tested
    ]
    write_text(root / "significance.md", "\n".join(pages))
    records = [
        {"benchmark": one.benchmark.title, "encoder": one.encoder}
        | {k: v for k, v in comparison_record(one.report).items() if k != "benchmark"}
        for one in tested
    ]
    write_json(root / "differences.json", records)
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    columns = {"benchmark": str, "encoder": str, **ROW_COLUMNS}
    rows = [
        {"benchmark": record["benchmark"], "encoder": record["encoder"], **row}
        for record in records
        for row in record["rows"]
    ]
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    write_table(root / "differences.parquet", pa.Table.from_pylist(rows, schema=schema))


_Drawing = tuple[Callable[[Path], None], Path]
"""What draws, and where to."""


def _sweeps(
    config: ExperimentConfig, results: Sequence[RunResult], root: Path
) -> Iterator[_Drawing]:
    """Yield a plot of the shares per benchmark and measure."""
    if not config.shares:
        return
    share_of = {config.share_label(share): share for share in config.shares}
    for benchmark in config.benchmarks:
        own = [r for r in results if r.benchmark == benchmark.title and r.batches in share_of]
        for measure in config.measures:
            points = [
                SweepPoint(result.encoder, share_of[result.batches], result.seed, figure, value)
                for result in own
                for figure, value in _figures(result.metrics, measure).items()
            ]

            def draw(path: Path, points: list[SweepPoint] = points, measure: str = measure) -> None:
                plot_sweep(points, path, measure=measure)

            parts = _distinguishing(config, benchmark.label, measure)
            yield draw, root / f"{'-'.join(['sweep', *parts])}.svg"


def _figures(metrics: Mapping[str, Any], measure: str) -> dict[str, float]:
    """Return the figures of a result that there are: the settings, and rank distance."""
    found = {s: metrics["summary"].get(s, {}).get(measure) for s in SETTINGS}
    found[RANK_DISTANCE] = metrics["bias"].get("rank_distance")
    return {name: value for name, value in found.items() if value is not None}


def _effects(config: ExperimentConfig, tested: Sequence[Tested], root: Path) -> Iterator[_Drawing]:
    """Yield a plot of the methods per benchmark, encoder and measure."""
    shares = set(map(config.share_label, config.shares)) - set(config.regimes)
    for one in tested:
        kept = [row for row in one.report.rows if row.system not in {UNTRAINED, *shares}]
        if not kept:
            continue

        def draw(path: Path, rows: list[Any] = kept, one: Tested = one) -> None:
            baseline = one.report.systems[0].label
            effects = method_effects(rows)
            plot_methods(effects, path, baseline=baseline, measure=one.report.measure)

        parts = _distinguishing(config, one.benchmark.label, one.report.measure, one.encoder)
        yield draw, root / f"{'-'.join(['methods', *parts])}.svg"


def _distinguishing(
    config: ExperimentConfig, benchmark: str, measure: str, encoder: str | None = None
) -> list[str]:
    """Return what tells a plot from that of the first benchmark, encoder and measure."""
    firsts = (config.benchmarks[0].label, config.encoders[0].label, config.measures[0])
    pairs = zip((benchmark, encoder, measure), firsts, strict=True)
    return [part for part, first in pairs if part not in (None, first)]
