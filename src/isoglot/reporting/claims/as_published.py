"""The statements judged by the published tables alone, per encoder.

No figure of a run comes in here. Per-query values were not published, so nothing is said about
chance: "best" and "lower" are of the figures as printed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isoglot.data.published_counts import LAREQA_COUNTS
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.claims.statements import (
    DOES_NOT_HOLD,
    HOLDS,
    NOT_TESTABLE,
    STATEMENTS,
    Judgement,
    Line,
)
from isoglot.reporting.claims.words import show_value
from isoglot.reporting.published import (
    PublishedRow,
    PublishedTable,
    published_rows,
    published_tables,
)
from isoglot.reporting.tables import RANK_DISTANCE

__all__ = ["ENCODERS", "SUBSTANTIAL", "UNSEEN", "judge_published"]

ENCODERS = ("XLM-R", "LaBSE")
SUBSTANTIAL = 0.1
"""Share by which rank distance must fall to be called substantially reduced: our choice, the paper
gives none. Its own figures fall by 13 to 30 %."""
UNSEEN = ("el", "vi")
"""Languages of XQuAD-R that the paper did not train on."""

_OTHERS = ("monolingual", "cross-lingual")
_BASIS = {"xquad-r": "AP", "mlqa-r": "AP", "miracl": "nDCG@10"}


def judge_published() -> list[Judgement]:
    """Judge the eleven statements by the figures and descriptions that were published."""
    judges: Mapping[int, Callable[[], list[Line]]] = {
        1: _batches,
        2: _benchmarks,
        3: _languages,
        4: lambda: [_untold("the training data were not published; only their names and sizes")],
        5: lambda: [_untold("the training data were not published, and no audit of them was")],
        6: _measure,
        7: _pairs,
        8: lambda: [_best(row, SETTINGS[2:]) for row in _hybrids() if SETTINGS[2] in row.settings],
        9: lambda: [_best(row, row.settings) for row in _hybrids()],
        10: _bias,
        11: _zero_shot,
    }
    return [Judgement(statement, judges[statement.number]()) for statement in STATEMENTS]


def _untold(why: str) -> Line:
    return Line(NOT_TESTABLE, why)


def _batches() -> list[Line]:
    return [
        _untold(
            "it is described so, in equal shares (section 2.2), but no code, no checkpoint and no "
            "record of batches was published"
        )
    ]


def _benchmarks() -> list[Line]:
    return [_found(name, "figures in", published_tables()) for name in _BASIS]


def _found(benchmark: str, what: str, tables: Sequence[PublishedTable]) -> Line:
    sources = sorted({t.source for t in tables if t.benchmark == benchmark}, key=_table_number)
    numbers = [_table_number(source) for source in sources]
    told = ", ".join(map(str, numbers))
    return Line(HOLDS, f"{what} Tables {told}", {"tables": numbers}, benchmark=benchmark)


def _table_number(source: str) -> int:
    return int(source.rpartition(" ")[2])


def _languages() -> list[Line]:
    lines = []
    for benchmark, counts in LAREQA_COUNTS.items():
        langs = sorted(
            {lang for t in published_tables() if t.benchmark == benchmark for lang in t.values}
        )
        questions = [counts[lang].queries for lang in langs]
        figures = {"languages": langs, "questions": dict(zip(langs, questions, strict=True))}
        why = f"{len(langs)} languages; by LAReQA's counts "
        if len(set(questions)) == 1:
            verdict, why = HOLDS, why + f"{questions[0]:,} questions in each"
        else:
            verdict = DOES_NOT_HOLD
            why += (
                f"{min(questions):,} to {max(questions):,} questions, so that not every question "
                "is asked in all of them"
            )
        lines.append(Line(verdict, why, figures, benchmark=benchmark))
    return lines


def _measure() -> list[Line]:
    tables = [table for table in published_tables() if table.measure == "AP"]
    return [_found(name, "mAP in", tables) for name in LAREQA_COUNTS]


def _pairs() -> list[Line]:
    lines = []
    for benchmark in LAREQA_COUNTS:
        table = next(t for t in published_tables() if (t.benchmark, t.measure) == (benchmark, "AP"))
        langs = len(table.values)
        pairs = langs * (langs - 1)
        why = (
            f"{langs} query languages make {langs} monolingual and {pairs} cross-lingual settings; "
            "the tables print the cross-lingual ones as means by query language"
        )
        figures = {"monolingual": langs, "cross-lingual": pairs}
        lines.append(Line(HOLDS, why, figures, benchmark=benchmark))
    return lines


class _Means:
    """The mean rows of one encoder on one benchmark, by batches."""

    def __init__(self, encoder: str, benchmark: str) -> None:
        self.encoder, self.benchmark = encoder, benchmark
        self.measure = _BASIS[benchmark]
        self.rows: dict[str, PublishedRow] = {
            row.batches: row
            for row in published_rows()
            if (row.encoder, row.benchmark) == (encoder, benchmark)
        }

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that were published."""
        return tuple(self.rows["hybrid"].metrics["summary"])

    def line(self, holds: bool, why: str, figures: Mapping[str, Any], counts: bool = True) -> Line:
        """Return a line about this encoder on this benchmark."""
        verdict = HOLDS if holds else DOES_NOT_HOLD
        return Line(verdict, why, figures, self.encoder, self.benchmark, counts)

    def value(self, batches: str, setting: str) -> float:
        """Return a mean in the benchmark's measure."""
        return float(self.rows[batches].metrics["summary"][setting][self.measure])

    def distance(self, batches: str) -> float:
        """Return the mean rank distance."""
        return float(self.rows[batches].metrics["bias"]["rank_distance"])

    def cells(self, settings: Sequence[str], langs: Sequence[str] = ()) -> tuple[int, int]:
        """Count the cells of the tables by language in which hybrid is best, and all."""
        cells = [
            values
            for table in published_tables()
            if (table.encoder, table.benchmark, table.measure)
            == (self.encoder, self.benchmark, self.measure)
            and table.setting in settings
            for lang, values in table.values.items()
            if not langs or lang in langs
        ]
        best = sum(v["hybrid"] > max(v[other] for other in _OTHERS) for v in cells)
        return best, len(cells)


def _hybrids() -> list[_Means]:
    return [_Means(encoder, benchmark) for encoder in ENCODERS for benchmark in _BASIS]


def _best(means: _Means, settings: Sequence[str]) -> Line:
    """Judge by the mean rows whether hybrid is above both others in every setting."""
    told, lost, figures = [], [], {}
    for setting in settings:
        own = means.value("hybrid", setting)
        others = {other: means.value(other, setting) for other in _OTHERS}
        lost += [f"{setting}: {other}" for other, value in others.items() if value >= own]
        figures[setting] = {"hybrid": own, **others}
        against = ", ".join(f"{name} {show_value(v, '')}" for name, v in others.items())
        told.append(f"{setting} {means.measure} {show_value(own, '')} ({against})")
    best, cells = means.cells(settings)
    why = f"{'; '.join(told)}; best in {best} of {cells} cells by language" + (
        f"; not above {', '.join(lost)}" if lost else ""
    )
    more: dict[str, Any] = {"means": figures, "cells_best": best, "cells": cells}
    return means.line(not lost, why, more)


def _bias() -> list[Line]:
    lines = []
    for means in _hybrids():
        if means.benchmark == "miracl":  # one relevant language per query: no distance
            continue
        hybrid = means.distance("hybrid")
        for other in _OTHERS:
            base = means.distance(other)
            change = (hybrid - base) / base
            enough = -change >= SUBSTANTIAL
            why = f"{RANK_DISTANCE} {base:.1f} to {hybrid:.1f}, {100 * change:+.1f} %"
            if other == "cross-lingual":
                why += f", against {other} batches, of which the statement says nothing"
            figures = {
                "baseline": other,
                "baseline_value": base,
                "hybrid": hybrid,
                "change": change,
            }
            lines.append(means.line(enough, why, figures, other == "monolingual"))
    return lines


def _zero_shot() -> list[Line]:
    lines = [
        _untold(
            "the tables hold neither the encoders as they come nor BM25, so nothing says what "
            "would be weak"
        )
    ]
    for means in _hybrids():
        if means.benchmark == "miracl":
            continue
        known = [lang for lang in UNSEEN if lang in LAREQA_COUNTS[means.benchmark]]
        best, cells = means.cells(SETTINGS, known)
        table = [t for t in published_tables() if _is(t, means)]
        gain = statistics.fmean(
            t.values[lang]["hybrid"] - max(t.values[lang][other] for other in _OTHERS)
            for t in table
            for lang in known
        )
        why = (
            f"in {' and '.join(known)}, not trained on: best in {best} of {cells} cells, "
            f"{gain:+.4f} {means.measure} from the better of the others on average"
        )
        figures = {"languages": known, "cells_best": best, "cells": cells, "mean_difference": gain}
        lines.append(means.line(best == cells, why, figures, False))
    return lines


def _is(table: PublishedTable, means: _Means) -> bool:
    own = (table.encoder, table.benchmark, table.measure)
    return own == (means.encoder, means.benchmark, means.measure)
