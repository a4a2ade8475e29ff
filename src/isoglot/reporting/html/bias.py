"""The bias figures of the page: what each says, what would be fair, and why one is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isoglot.reporting.html.figures import decimal, percent, places
from isoglot.reporting.html.headline import join_words
from isoglot.reporting.html.runs import ReportRun

__all__ = ["BiasRow", "FriedmanRow", "bias_rows", "friedman_rows", "why_missing"]

_OLD = "the evaluation is of an older version; run isoglot evaluate again"
_ONE_LANGUAGE = "no query has relevant passages in two languages"
_NO_OTHER = "no query has relevant passages in its own and in another language"
_LIMITED = "the run is of limited depth, so some ranks are not known"
_ONE_POOL = "all passages are in one language"
_NO_HEAD = "the evaluation kept no ranking; evaluate with a run depth of 10 or more"


@dataclass(frozen=True)
class _Spec:
    name: str
    path: tuple[str, ...]
    show: Callable[[float | None], str]
    fair: Callable[[Mapping[str, Any]], str]
    """What an encoder without bias has, or the best value."""
    reading: str
    reason: str
    """Why the figure may be None."""


@dataclass(frozen=True)
class BiasRow:
    """One figure, of all runs."""

    name: str
    values: tuple[str, ...]
    """By run."""
    fair: str
    reading: str
    missing: str
    """For which of several runs there is no figure, and why; empty if all have one."""


@dataclass(frozen=True)
class FriedmanRow:
    """The Friedman test of one query language."""

    lang: str
    kendall_w: float
    p: str
    queries: int
    order: tuple[str, ...]
    """Passage languages, the one ranked best on average first."""


def _fair(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda bias: text


def _fair_share(bias: Mapping[str, Any]) -> str:
    """Return the share of the pool, unless only the query's language could have the answers."""
    known = bias.get("language_preference_rate") is not None
    return percent(bias["language_share"].get("same_language_expected")) if known else ""


_SPECS = (
    _Spec(
        "rank distance",
        ("rank_distance",),
        places,
        lambda bias: f"{places(bias.get('rank_distance_floor'))} at best",
        "Places from the first right answer to the last, all languages in one ranking. "
        "Lower is better.",
        _ONE_LANGUAGE,
    ),
    _Spec(
        "rank distance, 0 to 100",
        ("rank_distance_normalized",),
        lambda value: decimal(value, 1),
        _fair("0"),
        "The same between the best and the worst possible ranking. Lower is better.",
        _ONE_LANGUAGE,
    ),
    _Spec(
        "language preference rate",
        ("language_preference_rate",),
        percent,
        lambda bias: percent(bias.get("language_preference_rate_expected")),
        "Queries whose first right answer is in the query's own language. "
        "Nearer to the fair share is better.",
        _NO_OTHER,
    ),
    _Spec(
        "same language in the top 10",
        ("language_share", "same_language"),
        percent,
        _fair_share,
        "Share of the first ten passages in the query's language. Where every language has the "
        "answers, its share of the pool is fair.",
        _NO_HEAD,
    ),
    _Spec(
        "Kendall's W",
        ("friedman", "kendall_w"),
        decimal,
        _fair("0"),
        "1 if every query ranks the languages of its answers in the same order, 0 if no language "
        "is ahead. Lower is better.",
        _ONE_LANGUAGE,
    ),
    _Spec(
        "cost of another language",
        ("limit_to_one_target", "gap"),
        decimal,
        _fair("0"),
        "AP lost where the only right answer is in another language than the query's. "
        "Lower is better.",
        _ONE_LANGUAGE,
    ),
    _Spec(
        "same passages for the same question",
        ("consistency", "overlap_at_10"),
        percent,
        _fair("100\u202f%"),
        "Passages that the top tens of one question in two languages have in common. "
        "Higher is better.",
        "no question is asked in two languages, or the evaluation kept no ranking",
    ),
    _Spec(
        "all answers in the top 100",
        ("complete_at_100",),
        percent,
        _fair("100\u202f%"),
        "Queries with the right answers of all languages among the first hundred. "
        "Higher is better.",
        _ONE_LANGUAGE,
    ),
    _Spec(
        "PEER",
        ("peer", "value"),
        decimal,
        _fair("1"),
        "1 if right answers are ranked alike in all languages. Higher is better.",
        _ONE_LANGUAGE,
    ),
)


def bias_rows(runs: Sequence[ReportRun]) -> list[BiasRow]:
    """Return the figures in the order of the page."""
    return [_row(spec, runs) for spec in _SPECS]


def why_missing(run: ReportRun, key: str) -> str:
    """Say why a table of the bias figures cannot be shown; empty if it can.

    Args:
        run: The evaluation.
        key: ``rank_distance_by_query_lang``, ``language_share``, ``confusion`` or ``friedman``.
    """
    if key not in run.bias:
        return _OLD
    table = run.bias[key] or {}
    if key in ("language_share", "friedman"):
        table = table.get("by_query_lang")
    reason = _NO_HEAD if key in ("language_share", "confusion") else _ONE_LANGUAGE
    return "" if table else _reason(run, reason)


def friedman_rows(run: ReportRun) -> list[FriedmanRow]:
    """Return the Friedman tests by query language; none if they are missing."""
    tests = (run.bias.get("friedman") or {}).get("by_query_lang") or {}
    return [
        FriedmanRow(
            lang,
            test["kendall_w"],
            "<.001" if test["p"] < 0.001 else decimal(test["p"]),
            test["queries"],
            tuple(sorted(test["mean_ranks"], key=test["mean_ranks"].__getitem__)),
        )
        for lang, test in sorted(tests.items())
    ]


def _row(spec: _Spec, runs: Sequence[ReportRun]) -> BiasRow:
    found = [_find(run, spec) for run in runs]
    reasons: dict[str, list[str]] = {}
    for run, (_, reason) in zip(runs, found, strict=True):
        if reason:
            reasons.setdefault(reason, []).append(run.label)
    known = [run for run, (value, _) in zip(runs, found, strict=True) if value is not None]
    return BiasRow(
        spec.name,
        tuple(spec.show(value) for value, _ in found),
        spec.fair(known[0].bias) if known else "",
        spec.reading,
        ";".join(_missing(reason, labels, len(runs)) for reason, labels in reasons.items()),
    )


def _missing(reason: str, labels: Sequence[str], runs: int) -> str:
    """Say why there is no figure, and for which runs unless for all; follows "not available"."""
    where = "" if len(labels) == runs else f" for {join_words(labels)}"
    return f"{where}, because {reason}"


def _find(run: ReportRun, spec: _Spec) -> tuple[float | None, str]:
    """Return a figure, or None and why there is none."""
    parent: Any = run.bias
    for key in spec.path[:-1]:
        parent = parent.get(key) or {}
    key = spec.path[-1]
    if key not in parent:
        return None, _OLD
    if parent[key] is None:
        return None, parent.get("why") or _reason(run, spec.reason)
    return parent[key], ""


def _reason(run: ReportRun, reason: str) -> str:
    """Return the reason, or a better one: no deeper run or ranking would help in some cases."""
    if reason == _NO_HEAD and len(run.metrics.get("passage_langs", ())) == 1:
        return _ONE_POOL
    share = run.bias.get("language_share") or {}
    # Judgments say it whatever the depth; older versions wrote nothing of them.
    judged = {_ONE_LANGUAGE: "relevant_by_query_lang", _NO_OTHER: "same_language_relevant"}
    limited = run.metrics.get("depth") is not None and reason in judged
    return _LIMITED if limited and share.get(judged[reason], True) else reason
