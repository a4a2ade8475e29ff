"""Read a corpus into stored passages once, and say what is known of its languages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isoglot.artifacts import file_sha256, read_json, write_json
from isoglot.data.corpus import StoredPassages, store_passages
from isoglot.data.files import hash_files
from isoglot.data.hub import load_rows
from isoglot.data.passages.detection import package_version
from isoglot.data.passages.options import PassageOptions
from isoglot.data.passages.reading import PassageReader
from isoglot.data.passages.report import LanguageReport
from isoglot.data.passages.rows import Row, read_dataset_rows, read_file_rows
from isoglot.data.passages.sources import find_files, is_dataset
from isoglot.errors import ArtifactError, DataError
from isoglot.records import Passage

__all__ = ["LANGUAGES_FILE", "corpus_key", "read_passages", "store_corpus"]

LANGUAGES_FILE = "languages.json"
_DEFAULTS = PassageOptions()


def read_passages(
    source: str, options: PassageOptions = _DEFAULTS, report: LanguageReport | None = None
) -> Iterator[Passage]:
    """Yield the passages of a corpus, holding a batch of rows in memory.

    Args:
        source: A ``.jsonl``, ``.tsv`` (both also ``.gz``) or ``.parquet`` file, a folder of such
            files, a folder saved by ``datasets``, or the name of a data set on the hub.
        options: Columns and languages.
        report: Takes account of what is read; complete when the last passage has been.

    Raises:
        ConfigError: If languages must be told and the detector is not installed or does not know
            those it is to choose from.
        DataError: If there is no such source, or a row cannot be used, which is then named with
            path and line, or no row has a text.
        DownloadError: If a data set cannot be fetched.
    """
    return _Corpus(source, options).read(LanguageReport() if report is None else report)


def corpus_key(source: str, options: PassageOptions = _DEFAULTS) -> dict[str, str]:
    """Return what the passages of a corpus depend on: SHA-256 of its files, and the options.

    Raises:
        DataError: If there is no such source.
        DownloadError: If a data set cannot be fetched.
    """
    return _Corpus(source, options).key()


def store_corpus(
    source: str,
    folder: Path,
    options: PassageOptions = _DEFAULTS,
    *,
    show_progress: bool = False,
) -> tuple[StoredPassages, LanguageReport]:
    """Open the passages of a corpus in a folder, read and written first unless they are there.

    Beside them lies ``languages.json``, the report. What was read with the same options from the
    same files is not read again.

    Args:
        source: As for `read_passages`.
        folder: For this corpus alone.
        options: Columns and languages.
        show_progress: Show how many passages have been stored, and how fast.

    Raises:
        ConfigError: As `read_passages`.
        DataError: As `read_passages`, or if an id is repeated or has white space.
        DownloadError: If a data set cannot be fetched.
        ArtifactError: If the folder cannot be written.
    """
    corpus = _Corpus(source, options)
    key = corpus.key()
    reports: list[LanguageReport] = []

    def read() -> Iterator[Passage]:
        reports.append(LanguageReport())
        return corpus.read(reports[-1])

    stored = store_passages(folder, key, read, name=source, show_progress=show_progress)
    report_key = _report_key(key, options)
    if not reports:
        known = _read_report(folder, report_key)
        if known is not None:
            return stored, known
        for _ in read():  # stored before, but with other checks, or the report was lost
            pass
    write_json(folder / LANGUAGES_FILE, {"key": report_key, **reports[-1].to_dict()})
    return stored, reports[-1]


class _Corpus:
    """A source that has been looked up."""

    def __init__(self, source: str, options: PassageOptions) -> None:
        self._source = source
        self._options = options
        self._dataset: Any = None
        if is_dataset(source):
            self._dataset = load_rows(source, options.split, options.revision)
        else:
            self._files = find_files(Path(source))

    def key(self) -> dict[str, str]:
        options = self._options
        values = {k: v for k, v in asdict(options).items() if not k.startswith("check")}
        return {
            **self._hashes(),
            "options": json.dumps(values, sort_keys=True),
            "detector": package_version() if options.detect or options.replace_stated else "",
        }

    def read(self, report: LanguageReport) -> Iterator[Passage]:
        yield from PassageReader(self._options, report).read(self._rows())
        if not report.known_by:
            raise DataError(
                f"{self._source}: no passages; {report.empty:,} rows, and none has a text"
            )

    def _rows(self) -> Iterator[Row]:
        if self._dataset is not None:
            yield from read_dataset_rows(self._dataset, self._source, self._options)
            return
        for file in self._files:
            yield from read_file_rows(file, self._options)

    def _hashes(self) -> dict[str, str]:
        if self._dataset is not None:
            paths = [Path(file["filename"]) for file in self._dataset.cache_files]
            hashes = {f"dataset {n}": file_sha256(path) for n, path in enumerate(paths)}
            return {**hashes, "named": Path(self._source).name}
        root = Path(self._source)
        hashes = hash_files(
            [file.path for file in self._files], root.parent if root.is_file() else root
        )
        return {**hashes, "named": json.dumps({file.name: file.lang for file in self._files})}


def _report_key(key: dict[str, str], options: PassageOptions) -> str:
    what = {**key, "check": str(options.check), "share": str(options.check_share)}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _read_report(folder: Path, key: str) -> LanguageReport | None:
    try:
        values = read_json(folder / LANGUAGES_FILE)
        if values.pop("key") != key:
            return None
        return LanguageReport.from_dict(values)
    except (ArtifactError, AttributeError, KeyError, TypeError):
        return None
