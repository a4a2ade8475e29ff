"""What a model card says of an evaluation: entries of a model index, and a section to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isoglot.data.benchmarks import BENCHMARKS
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.tables import RANK_DISTANCE, round_figure
from isoglot.reporting.writers import Table

__all__ = ["benchmark_of", "model_index_entries", "section"]

_TASK = {"type": "information-retrieval", "name": "Information Retrieval"}
_METRIC_TYPES = {
    "AP": "map",
    "nDCG": "ndcg",
    "RR": "mrr",
    "R": "recall",
    "P": "precision",
    "Success": "hit_rate",
}
"""Names of measures as model cards and MTEB spell them."""


def benchmark_of(metrics: Mapping[str, Any]) -> str:
    """Return the benchmark as ``isoglot evaluate`` takes it: with languages unless it is whole.

    Some languages of a benchmark are another, easier task than all of them. Where all are not known
    beforehand, the languages are always named.

    Args:
        metrics: The content of ``metrics.json``.
    """
    name = str(metrics["benchmark"])
    langs = sorted({*metrics["query_langs"], *metrics["passage_langs"]})
    is_whole = name in BENCHMARKS and langs == sorted(BENCHMARKS[name].langs)
    return name if is_whole else f"{name}:{','.join(langs)}"


def model_index_entries(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one entry per setting in the form of the hub's ``model-index``.

    Args:
        metrics: The content of ``metrics.json``.
    """
    entries = []
    benchmark = benchmark_of(metrics)
    for setting in _settings(metrics):
        dataset: dict[str, Any] = {
            "name": f"{benchmark} ({setting})",
            "type": benchmark,
            "config": setting,
        }
        if metrics.get("options"):
            dataset["args"] = dict(metrics["options"])
        values = [
            {"type": _metric_type(measure), "value": round(value, 5), "name": measure}
            for measure, value in metrics["summary"][setting].items()
        ]
        distance = metrics["bias"].get("rank_distance")
        if setting == "multilingual" and distance is not None:
            values.append(
                {
                    "type": "rank_distance",
                    "value": round(distance, 2),
                    "name": RANK_DISTANCE.capitalize(),
                }
            )
        entries.append({"task": dict(_TASK), "dataset": dataset, "metrics": values})
    return entries


def section(metrics: Mapping[str, Any]) -> str:
    """Return the results as Markdown: a heading, the table of settings, the rank distance.

    Args:
        metrics: The content of ``metrics.json``.
    """
    settings = _settings(metrics)
    measures = list(metrics["summary"][settings[0]]) if settings else []
    rows = tuple(
        (
            setting,
            *(round_figure(metrics["summary"][setting].get(measure), 4) for measure in measures),
        )
        for setting in settings
    )
    parts = [
        f"## Retrieval across languages: {benchmark_of(metrics)}",
        Table(("setting", *measures), rows).to_markdown().rstrip("\n"),
        _notes(metrics),
    ]
    return "\n\n".join(parts) + "\n"


def _notes(metrics: Mapping[str, Any]) -> str:
    bias = metrics["bias"]
    sentences = []
    if bias.get("rank_distance") is not None:
        floor = round_figure(bias.get("rank_distance_floor"), 1)
        sentences.append(
            f"Rank distance: {bias['rank_distance']:.1f} (lower is less biased; {floor} at best)."
        )
    sentences.append(
        f"{metrics['queries']:,} queries ({', '.join(metrics['query_langs'])}), "
        f"{metrics['passages']:,} passages ({', '.join(metrics['passage_langs'])})."
    )
    sentences.append(
        "Settings: passages in the query's language, in one other language, in all languages; "
        f"means over pools. Measured with isoglot {metrics['isoglot_version']}{_options(metrics)}."
    )
    return "\n".join(sentences)


def _options(metrics: Mapping[str, Any]) -> str:
    options = ", ".join(f"{key}: {value}" for key, value in metrics.get("options", {}).items())
    return f" ({options})" if options else ""


def _settings(metrics: Mapping[str, Any]) -> list[str]:
    return [setting for setting in SETTINGS if metrics["summary"].get(setting)]


def _metric_type(measure: str) -> str:
    name, cutoff = parse_measure(measure)
    return _METRIC_TYPES[name] if cutoff is None else f"{_METRIC_TYPES[name]}_at_{cutoff}"
