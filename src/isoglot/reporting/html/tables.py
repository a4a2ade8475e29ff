"""The tables of the report as files: the same figures, to paste into a paper or to compute with."""

from __future__ import annotations

import re

from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.heat_maps import share_map
from isoglot.reporting.html.bias import bias_rows, friedman_rows
from isoglot.reporting.html.figures import NONE, places
from isoglot.reporting.html.report import Report, SettingsBlock
from isoglot.reporting.tables import round_figure
from isoglot.reporting.writers import Table

__all__ = ["rank_distance_table", "report_tables", "settings_table"]


def report_tables(report: Report) -> dict[str, Table]:
    """Return every table of the page that has figures, by a name for its files."""
    runs = report.runs
    tables = {
        "settings": settings_table(report),
        "bias": Table(
            ("figure", *(run.label for run in runs), "fair or best"),
            tuple((row.name, *row.values, row.fair or NONE) for row in bias_rows(runs)),
        ),
        "rank-distance": rank_distance_table(report),
    }
    for run, found in zip(runs, report.maps, strict=True):
        tables[f"heat-map-{run.label}"] = found.table()
    for run, found in zip(runs[1:], report.difference_maps, strict=True):
        tables[f"difference-{run.label}"] = found.table()
    for run in runs:
        share = (run.bias.get("language_share") or {}).get("by_query_lang") or {}
        tables[f"language-share-{run.label}"] = share_map(share).table()
        tables[f"first-passage-{run.label}"] = share_map(run.bias.get("confusion") or {}).table()
        tables[f"friedman-{run.label}"] = Table(
            ("query language", "languages, best first", "Kendall's W", "p", "queries"),
            tuple(
                (
                    row.lang,
                    " ".join(row.order),
                    round_figure(row.kendall_w, 4),
                    row.p,
                    str(row.queries),
                )
                for row in friedman_rows(run)
            ),
            text_columns=2,
        )
    return _with_file_names({name: table for name, table in tables.items() if table.rows})


def settings_table(report: Report) -> Table:
    """Return settings by measures, every figure with the ends of its 95 % interval."""
    return Table(
        ("run", "setting", *report.measures),
        tuple(
            (block.label, setting, *(_estimate(block, setting, m) for m in report.measures))
            for block in report.blocks
            for setting in SETTINGS
            if setting in block.settings
        ),
        text_columns=2,
    )


def rank_distance_table(report: Report) -> Table:
    """Return rank distances by query language; without rows if no run has any."""
    found = [run.bias.get("rank_distance_by_query_lang") or {} for run in report.runs]
    langs = sorted({lang for by_lang in found for lang in by_lang})
    return Table(
        ("query language", *(run.label for run in report.runs)),
        tuple((lang, *(places(by_lang.get(lang)) for by_lang in found)) for lang in langs),
    )


def _estimate(block: SettingsBlock, setting: str, measure: str) -> str:
    estimate = block.estimates.get((setting, measure))
    if estimate is None:
        return NONE
    low, high = (f"{end:.4f}" for end in estimate.bounds)
    return f"{estimate.value:.4f} ({low} to {high})"


def _with_file_names(tables: dict[str, Table]) -> dict[str, Table]:
    """Replace what cannot stand in a file's name; a number tells names apart that fall together."""
    named: dict[str, Table] = {}
    for name, table in tables.items():
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
        number = 2
        unique = plain
        while unique in named:
            unique, number = f"{plain}-{number}", number + 1
        named[unique] = table
    return named
