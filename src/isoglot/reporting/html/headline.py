"""What was found, in sentences made from the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.html.figures import count, decimal, percent, places, signed
from isoglot.reporting.html.intervals import Estimate
from isoglot.reporting.html.names import language_name
from isoglot.reporting.html.runs import ReportRun

__all__ = ["difference_sentence", "join_words", "run_sentences"]

_WHERE = {
    "monolingual": "within a language",
    "cross-lingual": "from one language to another",
    "multilingual": "in the mixed pool",
}


def run_sentences(run: ReportRun, measure: str) -> str:
    """Say where a run answers best, what it loses elsewhere, and what it prefers."""
    clauses = [*_settings_clauses(run, measure), *_preference_clause(run)]
    return " ".join(
        [f"{run.label} {join_words(clauses)}.", *_extremes(run, measure), *_lower_bounds(run)]
    )


def difference_sentence(
    run: ReportRun,
    first: ReportRun,
    differences: Mapping[tuple[str, str], Estimate],
    measure: str,
) -> str:
    """Say what a run gains or loses against the first one; empty if nothing can be compared."""
    known = [setting for setting in SETTINGS if (setting, measure) in differences]
    changes = list(_changes([(differences[s, measure], _WHERE[s]) for s in known]))
    sentences = [f"Against {first.label}, {run.label} {join_words(changes)}."] if changes else []
    distance, before = run.bias.get("rank_distance"), first.bias.get("rank_distance")
    if distance is not None and before is not None:
        verb = "falls" if distance < before else "rises"
        change = f"{verb} from {places(before)} to {places(distance)}"
        same = places(distance) == places(before)
        sentences.append(f"Rank distance {f'stays at {places(before)}' if same else change}.")
    return " ".join(sentences)


def _changes(differences: Iterable[tuple[Estimate, str]]) -> Iterator[str]:
    """Yield the parts of the sentence; a verb is said once for all parts that follow it."""
    said = ""
    for difference, where in differences:
        verb = "shows no clear change"
        change = f"{where} ({signed(difference.value)})"
        if difference.is_clear and signed(difference.value) != signed(0.0):
            verb = "gains" if difference.value > 0 else "loses"
            change = f"{decimal(abs(difference.value))} {where}"
        yield change if verb == said else f"{verb} {change}"
        said = verb


def join_words(words: Sequence[str]) -> str:
    """Join words as in a sentence.

    >>> join_words(["a", "b", "c"])
    'a, b, and c'
    """
    if len(words) > 2:
        return f"{', '.join(words[:-1])}, and {words[-1]}"
    return " and ".join(words)


def _settings_clauses(run: ReportRun, measure: str) -> Iterator[str]:
    summary = run.metrics["summary"]
    values = {setting: summary.get(setting, {}).get(measure) for setting in SETTINGS}
    mono, cross = values["monolingual"], values["cross-lingual"]
    if mono is None or cross is None:
        known = [(setting, value) for setting, value in values.items() if value is not None]
        reached = [f"{decimal(value)} {_WHERE[setting]}" for setting, value in known]
        yield f"reaches {measure} {join_words(reached)}"
    elif mono > cross:
        best = mono >= (values["multilingual"] or 0)
        within = f"within a language ({measure} {decimal(mono)})"
        yield f"answers best {within}" if best else f"answers better {within} than across languages"
        yield f"loses {decimal(mono - cross)} from one language to another"
    else:
        yield (
            f"answers no better within a language ({measure} {decimal(mono)}) "
            f"than from one language to another ({decimal(cross)})"
        )


def _preference_clause(run: ReportRun) -> Iterator[str]:
    """Say how often the right answer in the query's language comes first, and what is fair."""
    rate = run.bias.get("language_preference_rate")
    fair = run.bias.get("language_preference_rate_expected")
    if rate is None:
        return
    against = f", where {percent(fair)} would be fair" if fair is not None else ""
    yield (
        "in the mixed pool puts the right answer in the query's language first for "
        f"{percent(rate)} of the queries{against}"
    )


def _lower_bounds(run: ReportRun) -> Iterator[str]:
    """Say which figures a run of limited depth does not know."""
    depth = run.metrics.get("depth")
    if depth is not None:
        yield (
            f"The ranking is known to {count(depth)} passages of all languages, so monolingual and "
            "cross-lingual figures are lower bounds."
        )


def _extremes(run: ReportRun, measure: str) -> Iterator[str]:
    """Name the query languages that fare best and worst, where all passages are in one pool."""
    rows = [
        row
        for row in run.evaluation.settings
        if (row.setting, row.measure) == ("multilingual", measure)
    ]
    if len(rows) > 1:
        best, worst = max(rows, key=lambda r: r.value), min(rows, key=lambda r: r.value)
        if decimal(best.value) == decimal(worst.value):
            return
        yield (
            f"Queries in {language_name(best.query_lang)} fare best in the mixed pool "
            f"({decimal(best.value)}), those in {language_name(worst.query_lang)} worst "
            f"({decimal(worst.value)})."
        )
