"""Read groups from a dataset with named columns: a local file or folder, or a hub name.

Uses Hugging Face ``datasets``. A column holds texts of one language, or mappings from language to
text; which columns are which is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.data.files import ask_language, check_text, check_texts
from isoglot.errors import DataError, DownloadError, did_you_mean
from isoglot.records import Group

__all__ = ["HubColumns", "is_saved", "load_rows", "read_hub"]

_FILE_FORMATS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".csv": "csv"}


@dataclass(frozen=True)
class HubColumns:
    """Which columns of a dataset make a group."""

    query_column: str
    passage_column: str
    query_lang: str | None = None
    """A column with language codes, or one code for all rows; columns of mappings need none."""
    passage_lang: str | None = None
    """As ``query_lang``; also the language of the negatives."""
    negative_columns: Sequence[str] = ()
    """Columns with a negative, or with a list of negatives."""
    id_column: str | None = None
    """Default: the row's number."""


def read_hub(
    name: str, columns: HubColumns, *, split: str = "train", revision: str | None = None
) -> Iterator[Group]:
    """Yield one group per row.

    Args:
        name: A Parquet, JSON, JSON Lines or CSV file, a folder (saved by ``datasets``, or of such
            files), or the name of a dataset on the hub.
        columns: Which columns make a group.
        split: Split to read.
        revision: Commit or tag of a hub dataset; pin it, for a name alone is not reproducible.

    Raises:
        DataError: If a column is missing, or a row has no usable texts.
        DownloadError: If a hub dataset cannot be fetched.
    """
    dataset = load_rows(name, split, revision)
    _check_columns(name, columns, dataset.column_names)
    seen: set[str] = set()
    for number, row in enumerate(dataset):
        group = _to_group(row, columns, number, where=f"{name}: row {number}")
        if group.group_id in seen:
            raise DataError(
                f"{name}: row {number}: id {group.group_id!r} comes twice; ids must be unique"
            )
        seen.add(group.group_id)
        yield group


def load_rows(name: str, split: str, revision: str | None) -> Any:  # noqa: ANN401 - datasets has no types
    """Return a ``datasets.Dataset``.

    Raises:
        DataError: If a local file or folder is none.
        DownloadError: If it cannot be fetched.
    """
    import datasets

    path = Path(name)
    try:
        if path.is_dir() and is_saved(path):
            return _pick_split(datasets.load_from_disk(name), split)
        if path.is_file():
            files = {split.partition("[")[0]: name}  # a split may be a slice: train[:1000]
            return datasets.load_dataset(_file_format(path), data_files=files, split=split)
        return datasets.load_dataset(name, split=split, revision=revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        if path.exists():
            raise DataError(f"{name}: cannot be read as a dataset ({reason})") from error
        raise DownloadError(
            f"{name}: no such file or folder, and not to be had from the hub ({reason}); "
            "without a network connection name a local copy"
        ) from error


def is_saved(folder: Path) -> bool:
    """Say whether ``datasets`` wrote the folder with ``save_to_disk``."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _pick_split(loaded: Any, split: str) -> Any:  # noqa: ANN401 - datasets has no types
    if not isinstance(loaded, dict):
        return loaded
    if split not in loaded:
        raise ValueError(f"no split {split!r}; the splits here are {', '.join(loaded)}")
    return loaded[split]


def _file_format(path: Path) -> str:
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in _FILE_FORMATS:
        raise ValueError(f"the file name must end in one of {', '.join(_FILE_FORMATS)}")
    return _FILE_FORMATS[suffix]


def _check_columns(name: str, columns: HubColumns, there: Sequence[str]) -> None:
    wanted = [columns.query_column, columns.passage_column, *columns.negative_columns]
    wanted += [columns.id_column] if columns.id_column else []
    for column in wanted:
        if column not in there:
            raise DataError(
                f"{name}: no column {column!r}; the columns here are {', '.join(there)}"
                f"{did_you_mean(column, there)}"
            )


def _to_group(row: dict[str, Any], columns: HubColumns, number: int, where: str) -> Group:
    negatives: list[dict[str, str]] = []
    for column in columns.negative_columns:
        value = row[column]
        for negative in value if isinstance(value, list) else [value]:
            if negative is not None:
                negatives.append(
                    _texts(negative, row, columns.passage_lang, f"{where}: column {column!r}")
                )
    return Group(
        str(row[columns.id_column]) if columns.id_column else str(number),
        _column_texts(row, columns.query_column, columns.query_lang, where),
        _column_texts(row, columns.passage_column, columns.passage_lang, where),
        tuple(negatives),
    )


def _column_texts(row: dict[str, Any], column: str, lang: str | None, where: str) -> dict[str, str]:
    return _texts(row[column], row, lang, f"{where}: column {column!r}")


def _texts(value: object, row: dict[str, Any], lang: str | None, where: str) -> dict[str, str]:
    if isinstance(value, dict):
        # Arrow gives every row all languages of the column and fills in null.
        return check_texts({code: text for code, text in value.items() if text}, where)
    if lang is None:
        raise DataError(
            f"{where}: the language is not known; set query_lang and passage_lang to a code such "
            "as 'sw' or to a column that holds codes"
        )
    return {ask_language(str(row.get(lang, lang)), where): check_text(value, where)}
