"""The files of an evaluation, written and read: metrics, tables, TREC runs and qrels.

The caller prepares the folder and writes the completion marker. ``ir_measures qrels/ar.qrels
runs/ar.trec nDCG@10`` gives the multilingual figure again, as long as the measure looks no deeper
than the run; AP is at full depth here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot import __version__
from isoglot.artifacts import atomic_write, read_json, write_json
from isoglot.data.collection import Collection
from isoglot.data.corpus import StoredPassages
from isoglot.errors import ArtifactError, DataError
from isoglot.evaluation.evaluate import Evaluation, SettingRow
from isoglot.evaluation.ranking import NO_PASSAGE

__all__ = ["StoredEvaluation", "check_trec_ids", "read_evaluation", "write_evaluation"]

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
    _write_table(folder / SETTINGS_TABLE, _settings_table(evaluation.settings))
    _write_table(folder / PER_QUERY_TABLE, evaluation.per_query)
    _write_table(folder / RANKS_TABLE, evaluation.ranks_table)
    _write_runs(evaluation, folder / "runs")
    _write_qrels(evaluation.collection, folder / "qrels")
    write_json(folder / METRICS, {**_metrics(evaluation, model, bias), **(more or {})})


def read_evaluation(folder: Path) -> StoredEvaluation:
    """Read the metrics and the two tables of an evaluation.

    Raises:
        ArtifactError: If one is missing or damaged.
    """
    metrics = read_json(folder / METRICS)
    settings = _read_table(folder / SETTINGS_TABLE)
    rows = tuple(SettingRow(**row) for row in settings.to_pylist())
    return StoredEvaluation(metrics, rows, _read_table(folder / PER_QUERY_TABLE))


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


def _write_table(path: Path, table: Any) -> None:  # noqa: ANN401 - pyarrow has no types
    import pyarrow.parquet as pq

    with atomic_write(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")


def _read_table(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: cannot be read as Parquet ({error})") from error


def _write_runs(evaluation: Evaluation, folder: Path) -> None:
    """Write one TREC run per query language over the pool of all languages.

    Nine digits tell any two float32 values apart, so sorting a file again by score and doc id, both
    descending, gives the same order.
    """
    collection, ranking = evaluation.collection, evaluation.ranking
    if ranking is None:
        return
    for lang in collection.query_langs:
        rows = [row for row, query in enumerate(collection.queries) if query.lang == lang]
        found = ranking.passages[rows] != NO_PASSAGE
        doc_ids = iter(evaluation.table.ids_of(ranking.passages[rows][found]))
        scores = iter(ranking.scores[rows][found].tolist())
        with atomic_write(folder / f"{lang}.trec") as file:
            for row, length in zip(rows, found.sum(axis=1).tolist(), strict=True):
                query_id = collection.queries[row].query_id
                file.writelines(
                    f"{query_id} Q0 {next(doc_ids)} {rank} {next(scores):.9g} {RUN_TAG}\n"
                    for rank in range(1, length + 1)
                )


def _write_qrels(collection: Collection, folder: Path) -> None:
    """Write the judgments per query language, judged negatives included.

    Queries without a relevant passage are left out: trec_eval would score them 0, we skip them.
    """
    measured = {(q.query_lang, q.query_id) for q in collection.qrels if q.relevance > 0}
    lines: dict[str, list[str]] = defaultdict(list)
    for query_id, lang, doc_id, relevance in collection.qrels:
        if (lang, query_id) in measured:
            lines[lang].append(f"{query_id} 0 {doc_id} {relevance}\n")
    for lang in collection.query_langs:
        with atomic_write(folder / f"{lang}.qrels") as file:
            file.writelines(lines[lang])
