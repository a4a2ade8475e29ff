"""Read the rows of a corpus, whatever its format, a batch at a time.

A row says where it stands, what it is called when it has no id, and which language its file is
named by. What its columns mean is the business of `isoglot.data.passages.reading`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.data.files import read_json_objects, read_lines
from isoglot.data.passages.options import (
    ID_COLUMNS,
    LANG_COLUMNS,
    TEXT_COLUMNS,
    TITLE_COLUMNS,
    PassageOptions,
)
from isoglot.data.passages.sources import SourceFile, format_of
from isoglot.errors import DataError, did_you_mean

__all__ = ["Row", "columns_by_role", "pick_column", "read_dataset_rows", "read_file_rows"]

_BATCH_ROWS = 1024
_BUFFER_BYTES = 1 << 20
"""Read of a Parquet column at a time; without it a whole row group is."""
_HEADERLESS = ("id", "text")
"""Columns of a TSV file without a header, as in MS MARCO's and mMARCO's collections."""


class Row(NamedTuple):
    """A row as it stands in its source."""

    where: str
    """For errors: ``path:line`` or ``path: row N``."""
    default_id: str
    values: Mapping[str, Any]
    lang: str | None
    """Language that the file is named by."""
    prefixed: bool
    """Whether ids may repeat in the files of other languages."""


def columns_by_role(options: PassageOptions) -> dict[str, tuple[str, ...]]:
    """Return, for ``id``, ``text``, ``title`` and ``lang``, the names a column may have."""
    usual = {"id": ID_COLUMNS, "text": TEXT_COLUMNS, "title": TITLE_COLUMNS, "lang": LANG_COLUMNS}
    named = {role: getattr(options, f"{role}_column") for role in usual}
    return {role: (named[role],) if named[role] else names for role, names in usual.items()}


def pick_column(there: Mapping[str, Any] | Sequence[str], names: Sequence[str]) -> str | None:
    """Return the first of the names that is there."""
    return next((name for name in names if name in there), None)


def read_file_rows(file: SourceFile, options: PassageOptions) -> Iterator[Row]:
    """Yield the rows of a file.

    Raises:
        DataError: If it is malformed or lacks a column.
    """
    read = {"json": _read_json, "tsv": _read_tsv, "parquet": _read_parquet}[format_of(file.path)]
    name = "_".join(file.name.split())  # ids have no white space
    for where, number, values in read(file.path, options):
        yield Row(where, f"{name}:{number}", values, file.lang, file.prefixed)


def read_dataset_rows(dataset: Any, name: str, options: PassageOptions) -> Iterator[Row]:  # noqa: ANN401 - datasets has no types
    """Yield the rows of a ``datasets.Dataset``, which is memory-mapped.

    Raises:
        DataError: If it lacks a column.
    """
    columns = _check_columns(name, dataset.column_names, options)
    called = f"{'_'.join(Path(name).name.split())}:{options.split}"
    number = 0
    for batch in dataset.select_columns(columns).iter(batch_size=_BATCH_ROWS):
        for values in zip(*(batch[column] for column in columns), strict=True):
            row = dict(zip(columns, values, strict=True))
            yield Row(f"{name}: row {number}", f"{called}:{number}", row, None, prefixed=False)
            number += 1


def _read_json(path: Path, options: PassageOptions) -> Iterator[tuple[str, int, dict[str, Any]]]:
    columns = columns_by_role(options)
    needed = [role for role in columns if role == "text" or _is_named(options, role)]
    for where, row in read_json_objects(path):
        for role in needed:
            if pick_column(row, columns[role]) is None:
                raise _missing(where, role, columns[role], list(row))
        yield where, int(where.rpartition(":")[2]), row


def _read_tsv(path: Path, options: PassageOptions) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Read cells between tabs as they are: quotes are part of a text."""
    header: Sequence[str] | None = None
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where, cells = f"{path}:{number}", line.split("\t")
        if header is None:
            header = _header(where, cells, options)
            if header is not _HEADERLESS:
                continue
        if len(cells) != len(header):
            raise DataError(
                f"{where}: expected {len(header)} columns ({' '.join(header)}) with tabs between, "
                f"got {len(cells)}"
            )
        yield where, number, dict(zip(header, cells, strict=True))


def _header(where: str, cells: Sequence[str], options: PassageOptions) -> Sequence[str]:
    """Return the columns that the first line names, or those of a file without a header."""
    names = [cell.strip() for cell in cells]
    named = any(_is_named(options, role) for role in ("id", "text", "title", "lang"))
    has_text = pick_column(names, columns_by_role(options)["text"]) is not None
    if not (has_text or named or names[0] in ID_COLUMNS) and len(cells) == 2:
        return _HEADERLESS
    for column in _check_columns(where, names, options):
        if names.count(column) > 1:
            raise DataError(f"{where}: column {column!r} comes twice; rename or remove one of them")
    return names


def _read_parquet(path: Path, options: PassageOptions) -> Iterator[tuple[str, int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            columns = _check_columns(str(path), file.schema_arrow.names, options)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    yield f"{path}: row {number}", number, row
                    number += 1
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as Parquet ({reason}); fetch it again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: a text from row {number} on is not UTF-8") from error


def _check_columns(where: str, there: Sequence[str], options: PassageOptions) -> list[str]:
    """Return the columns that are used.

    Raises:
        DataError: If there is no text, or a column that the options name is not there.
    """
    used = []
    for role, names in columns_by_role(options).items():
        if column := pick_column(there, names):
            used.append(column)
        elif role == "text" or _is_named(options, role):
            raise _missing(where, role, names, there)
    return used


def _is_named(options: PassageOptions, role: str) -> bool:
    return getattr(options, f"{role}_column") is not None


def _missing(where: str, role: str, names: Sequence[str], there: Sequence[str]) -> DataError:
    wanted = " or ".join(repr(name) for name in names)
    return DataError(
        f"{where}: no column {wanted}; the columns here are {', '.join(there) or 'none'}"
        f"{did_you_mean(names[0], there)}; say which one it is as {role}_column"
    )
