"""The files of an evaluation, written and read: metrics, tables, TREC runs and qrels.

The caller prepares the folder and writes the completion marker. ``ir_measures qrels/ar.qrels
runs/ar.trec nDCG@10`` gives the multilingual figure again, as long as the measure looks no deeper
than the run; AP is at full depth here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoglot import __version__
from isoglot.artifacts import atomic_write, read_json, write_json
from isoglot.data.collection import Collection
from isoglot.data.corpus import StoredPassages
from isoglot.errors import ArtifactError, DataError
from isoglot.evaluation.evaluate import Evaluation, SettingRow
from isoglot.evaluation.ranking import NO_PASSAGE
from isoglot.records import Qrel, ScoredDoc

__all__ = [
    "StoredEvaluation",
    "check_trec_ids",
    "measured_judgments",
    "ranked_results",
    "read_evaluation",
    "read_table",
    "write_evaluation",
    "write_table",
]

METRICS = "metrics.json"
SETTINGS_TABLE = "settings.parquet"
PER_QUERY_TABLE = "per_query.parquet"
RANKS_TABLE = "ranks.parquet"
RUN_TAG = "isoglot"


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation read back from its folder."""

    metrics: dict[str, Any]
    """The content of ``metrics.json``."""
    settings: tuple[SettingRow, ...]
    per_query: Any
    """``pyarrow.Table`` with the columns of ``Evaluation.per_query``."""


def write_evaluation(
    evaluation: Evaluation,
    folder: Path,
    *,
    model: str,
    bias: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write all files of an evaluation, each of them atomically.

    Args:
        evaluation: What to write.
        folder: An existing or new folder.
        model: The model's name, for ``metrics.json``.
        bias: What ``isoglot.bias.summarize`` returns.
        more: Further entries of ``metrics.json``.

    Raises:
        DataError: If an id cannot stand in a TREC file.
        ArtifactError: If a file cannot be written.
    """
    check_trec_ids(evaluation.collection)
    write_table(folder / SETTINGS_TABLE, _settings_table(evaluation.settings))
    write_table(folder / PER_QUERY_TABLE, evaluation.per_query)
    write_table(folder / RANKS_TABLE, evaluation.ranks_table)
    _write_runs(evaluation, folder / "runs")
    _write_qrels(evaluation.collection, folder / "qrels")
    write_json(folder / METRICS, {**_metrics(evaluation, model, bias), **(more or {})})


def read_evaluation(folder: Path) -> StoredEvaluation:
    """Read the metrics and the two tables of an evaluation.

    Raises:
        ArtifactError: If one is missing or damaged.
    """
    metrics = read_json(folder / METRICS)
    settings = read_table(folder / SETTINGS_TABLE)
    rows = tuple(SettingRow(**row) for row in settings.to_pylist())
    return StoredEvaluation(metrics, rows, read_table(folder / PER_QUERY_TABLE))


def check_trec_ids(collection: Collection) -> None:
    """Refuse ids with white space, which separates the columns of TREC files.

    Raises:
        DataError: If there is one.
    """
    ids = [("query", query.query_id) for query in collection.queries]
    if not isinstance(collection.passages, StoredPassages):  # checked when they were stored
        ids += [("passage", passage.doc_id) for passage in collection.passages]
    for what, name in ids:
        if name.split() != [name]:
            raise DataError(
                f"{collection.name}: {what} id {name!r} is empty or has white space, which "
                "separates the columns of TREC files; rename it, for example with '_'"
            )


def _metrics(evaluation: Evaluation, model: str, bias: Mapping[str, Any]) -> dict[str, Any]:
    collection, ranking = evaluation.collection, evaluation.ranking
    return {
        "benchmark": collection.name,
        "model": model,
        "isoglot_version": __version__,
        "summary": evaluation.summary,
        "bias": dict(bias),
        "queries": len(collection.queries),
        "passages": len(collection.passages),
        "skipped_queries": evaluation.skipped_queries,
        "skipped_by_setting": dict(evaluation.skipped_by_setting),
        "query_langs": list(collection.query_langs),
        "passage_langs": list(collection.passage_langs),
        "measures": list(evaluation.measures),
        "similarity": evaluation.similarity,
        "run_depth": ranking.depth if ranking else 0,
        "depth": evaluation.depth,
        "pool_sizes": dict(evaluation.ranks.pool_sizes),
        "options": dict(collection.options),
    }


def _settings_table(rows: Iterable[SettingRow]) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.Table.from_pylist([row._asdict() for row in rows])


def write_table(path: Path, table: Any) -> None:  # noqa: ANN401 - pyarrow has no types
    """Write a ``pyarrow.Table`` as Parquet, atomically."""
    import pyarrow.parquet as pq

    with atomic_write(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")


def read_table(path: Path, columns: Iterable[str] | None = None) -> Any:  # noqa: ANN401
    """Read a Parquet file as a ``pyarrow.Table``: of the columns named those that are there.

    Raises:
        ArtifactError: If it is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not pq.read_table, which takes folders called name=value for columns.
        with pq.ParquetFile(path) as file:
            held = file.schema_arrow.names
            return file.read([name for name in held if columns is None or name in set(columns)])
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: cannot be read as Parquet ({error})") from error


def ranked_results(evaluation: Evaluation, query_lang: str) -> Iterator[ScoredDoc]:
    """Yield what the kept ranking holds for the queries of a language, best first."""
    collection, ranking = evaluation.collection, evaluation.ranking
    if ranking is None:
        return
    rows = [row for row, query in enumerate(collection.queries) if query.lang == query_lang]
    found = ranking.passages[rows] != NO_PASSAGE
    doc_ids = evaluation.table.ids_of(ranking.passages[rows][found])
    query_ids = np.repeat([collection.queries[row].query_id for row in rows], found.sum(axis=1))
    scores = ranking.scores[rows][found].tolist()
    yield from map(ScoredDoc, query_ids.tolist(), doc_ids, scores)


def measured_judgments(collection: Collection, query_lang: str) -> list[Qrel]:
    """Return the judgments of a language's queries, judged negatives included.

    Queries without a relevant passage are left out: trec_eval would score them 0, we skip them.
    """
    qrels = [qrel for qrel in collection.qrels if qrel.query_lang == query_lang]
    measured = {qrel.query_id for qrel in qrels if qrel.relevance > 0}
    return [qrel for qrel in qrels if qrel.query_id in measured]


def _write_runs(evaluation: Evaluation, folder: Path) -> None:
    """Write one TREC run per query language over the pool of all languages.

    Nine digits tell any two float32 values apart, so sorting a file again by score and doc id, both
    descending, gives the same order.
    """
    if evaluation.ranking is None:
        return
    for lang in evaluation.collection.query_langs:
        results = itertools.groupby(ranked_results(evaluation, lang), key=lambda r: r.query_id)
        with atomic_write(folder / f"{lang}.trec") as file:
            for query_id, found in results:
                file.writelines(
                    f"{query_id} Q0 {doc_id} {rank} {score:.9g} {RUN_TAG}\n"
                    for rank, (_, doc_id, score) in enumerate(found, 1)
                )


def _write_qrels(collection: Collection, folder: Path) -> None:
    """Write the judgments of the measured queries per query language."""
    for lang in collection.query_langs:
        with atomic_write(folder / f"{lang}.qrels") as file:
            file.writelines(
                f"{query_id} 0 {doc_id} {relevance}\n"
                for query_id, _, doc_id, relevance in measured_judgments(collection, lang)
            )
