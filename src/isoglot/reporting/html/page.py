"""The page: templates, styles and script of this package, joined into one file.

Texts of passages come from anywhere, so every value is escaped, and the page's own policy lets no
script run but the one here (by its hash) and nothing be fetched at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from isoglot import __version__
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.html.bias import bias_rows, friedman_rows, why_missing
from isoglot.reporting.html.colours import scale_css
from isoglot.reporting.html.figures import count, decimal, interval, places, signed
from isoglot.reporting.html.headline import difference_sentence, run_sentences
from isoglot.reporting.html.intervals import Estimate
from isoglot.reporting.html.maps import measure_views, share_views
from isoglot.reporting.html.names import language_name, text_direction
from isoglot.reporting.html.report import Report
from isoglot.reporting.html.runs import ReportRun

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render_report"]

_SETTING_NOTES = {
    "monolingual": "query and passages in one language",
    "cross-lingual": "passages in one other language",
    "multilingual": "passages of all languages in one pool",
}
_MEASURE_NOTES = {
    "AP": "average precision: 1 if all right answers lead the ranking",
    "nDCG": "gain of the right answers, discounted by rank, against the best possible",
    "RR": "1 divided by the rank of the first right answer",
    "R": "of all right answers, the share that is among the first k",
    "P": "of the first k passages, the share that is right",
    "Success": "share of queries with a right answer among the first k",
}


def render_report(report: Report) -> str:
    """Return the page as one HTML document that needs nothing else."""
    from markupsafe import Markup

    script = _asset("filter.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment().get_template("page.html")
    return template.render(
        **_figures(report),
        **_texts(report),
        report=report,
        runs=report.runs,
        metrics=report.runs[0].metrics,
        version=__version__,
        # Ours, and needed as they are: the only values that are not escaped.
        style=Markup(_style()),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )


def _figures(report: Report) -> dict[str, Any]:
    """Return what the figures and tables of the page are made of."""
    runs = report.runs
    return {
        "glance": _glance(report),
        "maps": measure_views(report),
        "bias": bias_rows(runs),
        "distances": _distances(report),
        "shares": share_views(runs, "language_share"),
        "first_passages": share_views(runs, "confusion"),
        "friedman": [(run.label, rows) for run in runs if (rows := friedman_rows(run))],
        "why": {key: _why(report, key) for key in _BIAS_TABLES},
    }


def _texts(report: Report) -> dict[str, Any]:
    """Return what the page says in words."""
    first, *others = report.runs
    differences = [
        difference_sentence(run, first, block.estimates, report.measure)
        for run, block in zip(others, report.differences, strict=True)
    ]
    examples = [example for run in report.runs for example in run.examples or ()]
    return {
        "sentences": [run_sentences(first, report.measure), *differences],
        "setting_notes": _SETTING_NOTES,
        "measure_notes": _notes(report.measures),
        "examples": [(run, _by_language(run)) for run in report.runs],
        "example_langs": sorted({example["query_lang"] for example in examples}),
        "provenance": [(run, _facts(run)) for run in report.runs],
    }


_BIAS_TABLES = ("rank_distance_by_query_lang", "language_share", "confusion", "friedman")


def _environment() -> Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _asset(f"templates/{name}")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count,
        decimal=decimal,
        direction=text_direction,
        interval=interval,
        language=language_name,
        places=places,
        signed=signed,
    )
    return environment


def _asset(name: str) -> str:
    return (resources.files("isoglot.reporting.html") / name).read_text(encoding="utf-8")


def _style() -> str:
    parts = (_asset("style.css"), scale_css("light"))
    dark = ("@media (prefers-color-scheme:dark){", scale_css("dark"), "}")
    return "\n".join((*parts, *dark))


def _notes(measures: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return what the measures on the page say, each family once."""
    families = dict.fromkeys(name.partition("@")[0] for name in measures)
    cut = {name.partition("@")[0] for name in measures if "@" in name}
    return [
        (f"{family}@k" if family in cut else family, _MEASURE_NOTES[family]) for family in families
    ]


def _glance(report: Report) -> list[tuple[str, list[tuple[str, Estimate | None]]]]:
    """Return, by setting, the figure of every run in the measure of the page."""
    blocks = [block for block in report.blocks if not block.is_difference]
    return [
        (setting, [(b.label, b.estimates.get((setting, report.measure))) for b in blocks])
        for setting in SETTINGS
        if any((setting, report.measure) in block.estimates for block in blocks)
    ]


def _distances(report: Report) -> list[tuple[str, list[tuple[str, float | None]]]]:
    """Return, by query language, the rank distance of every run and its share of the largest."""
    found = [run.bias.get("rank_distance_by_query_lang") or {} for run in report.runs]
    top = max((value for by_lang in found for value in by_lang.values()), default=0) or 1
    langs = sorted({lang for by_lang in found for lang in by_lang})
    return [
        (lang, [(places(d.get(lang)), d[lang] / top if lang in d else None) for d in found])
        for lang in langs
    ]


def _why(report: Report, key: str) -> list[str]:
    """Say which runs lack a table of the bias figures, and why."""
    reasons = [(run.label, why_missing(run, key)) for run in report.runs]
    return [f"{label}: not available, because {reason}." for label, reason in reasons if reason]


def _by_language(run: ReportRun) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for example in run.examples or ():
        found.setdefault(example["query_lang"], []).append(example)
    return dict(sorted(found.items()))


def _facts(run: ReportRun) -> list[tuple[str, str]]:
    """Return what produced a run; what its folder does not say is left out."""
    metrics, provenance = run.metrics, run.provenance
    machine = provenance.get("machine") or {}
    options = metrics.get("options") or {}
    depth = metrics.get("depth")
    facts = [
        ("model", metrics["model"]),
        ("command", provenance.get("command")),
        ("date", str(provenance.get("created", "")).replace("T", " ")),
        ("isoglot", metrics["isoglot_version"]),
        ("versions", _pairs(provenance.get("versions") or {})),
        ("machine", ", ".join(filter(None, (machine.get("platform"), _cores(machine))))),
        ("similarity", metrics.get("similarity")),
        ("options", _pairs(options)),
        ("seeds", _pairs(provenance.get("seeds") or {})),
        ("depth", f"the first {depth} passages of every query" if depth else "full ranking"),
    ]
    return [(name, str(value)) for name, value in facts if value]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _cores(machine: Mapping[str, Any]) -> str:
    return f"{machine['cores']} cores" if machine.get("cores") else ""
