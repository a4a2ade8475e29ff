"""Find the files of a corpus and the languages they are named by.

A source is a file, a folder of files, or a Hugging Face data set, on the hub or in a folder. In a
folder, what holds topics, queries or judgments is passed over, so that the folders of MIRACL,
BEIR and AfriQA can be named as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from isoglot.data.files import language_of_name, list_folder
from isoglot.data.hub import is_saved
from isoglot.errors import DataError

__all__ = ["FORMATS", "SourceFile", "find_files", "format_of", "is_dataset"]

FORMATS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
"""Format by the end of a file's name, ``.gz`` aside; ``.json`` holds one object on each line."""
_IN_FOLDERS = frozenset(FORMATS) - {".json"}  # in folders it usually describes other files
_NO_PASSAGES = re.compile(r"(topics|queries|qrels)(?![A-Za-z]).*")
_HUB_NAME = re.compile(r"[^/]+(/[^/]+)?")
_PUBLISHED = "miracl-corpus-v1.0-"


class SourceFile(NamedTuple):
    """A file with passages."""

    path: Path
    name: str
    """Below the source, with slashes."""
    lang: str | None
    """Language that the file, or a folder it is in, is named by."""
    prefixed: bool
    """Whether ids may repeat in the files of other languages."""


def is_dataset(source: str) -> bool:
    """Say whether a source is a Hugging Face data set: on the hub, or saved by ``datasets``.

    Raises:
        DataError: If it is a path, and there is no such file or folder.
    """
    path = Path(source)
    if source and path.is_dir():
        return is_saved(path)
    if source and path.exists():
        return False
    if _suffix(path) in FORMATS or not _HUB_NAME.fullmatch(source):
        raise DataError(
            f"{source}: no such file or folder; name one, or a data set on the hub as OWNER/NAME"
        )
    return True


def find_files(source: Path) -> tuple[SourceFile, ...]:
    """Return the files with passages, in the order in which they are read.

    Args:
        source: A file, or a folder that is searched with its sub-folders. Where a folder has a file
            ``corpus.*``, its other files are passed over.

    Raises:
        DataError: If there is none.
    """
    if source.is_file():
        format_of(source)
        lang = _language(Path(source.name), {})
        return (SourceFile(source, source.name, lang, prefixed=False),)
    paths = list(_with_passages(source))
    if not paths:
        raise DataError(
            f"{source}: no files with passages; expected names that end in "
            f"{', '.join(sorted(_IN_FOLDERS))}, plain or .gz; found {list_folder(source)}"
        )
    names = [path.relative_to(source) for path in paths]
    beside = _names_by_folder(names)
    own = _language(Path(source.resolve().name), {})
    langs = [_language(name, beside) for name in names]
    return tuple(
        SourceFile(path, name.as_posix(), lang or own, prefixed=lang is not None)
        for path, name, lang in zip(paths, names, langs, strict=True)
    )


def format_of(path: Path) -> str:
    """Return the format that a file's name says: ``json``, ``tsv`` or ``parquet``.

    Raises:
        DataError: If the name says none.
    """
    suffix = _suffix(path)
    if suffix not in FORMATS or (suffix == ".parquet" and path.suffix == ".gz"):
        raise DataError(
            f"{path}: unknown format; the file name must end in {', '.join(FORMATS)}, "
            "and but for .parquet may have .gz after it"
        )
    return FORMATS[suffix]


def _with_passages(folder: Path) -> Iterator[Path]:
    def is_candidate(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        is_other = any(_NO_PASSAGES.fullmatch(part) or part.startswith(".") for part in parts)
        return _suffix(path) in _IN_FOLDERS and not is_other and path.is_file()

    paths = sorted(filter(is_candidate, folder.rglob("*")), key=lambda path: _order(path, folder))
    for _, group in groupby(paths, key=lambda path: path.parent):
        files = list(group)
        yield from [path for path in files if _word(path) == "corpus"] or files


def _order(path: Path, root: Path) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Put the files of a folder together, and ``docs-10`` after ``docs-9``."""

    def numbered(text: str) -> list[tuple[int, str]]:
        return [(int(digits or 0), word) for word, digits in re.findall(r"(\D+|^)(\d*)", text)]

    return numbered(path.parent.relative_to(root).as_posix()), numbered(path.name)


def _names_by_folder(names: Iterable[Path]) -> dict[Path, set[str]]:
    """Return the words that files and folders with passages are named by, by the folder above."""
    found: dict[Path, set[str]] = {}
    for name in names:
        for path in (name, *name.parents[:-1]):
            found.setdefault(path.parent, set()).add(_word(path))
    return found


def _language(name: Path, beside: Mapping[Path, set[str]]) -> str | None:
    """Return the language of the innermost name that is one.

    Three letters may be any word, for there are codes for ``one`` and ``two``: they count beside a
    name that is surely a language.
    """
    for path in (name, *name.parents[:-1]):
        lang = language_of_name(_word(path))
        if lang and (_is_sure(_word(path)) or any(map(_is_sure, beside.get(path.parent, ())))):
            return lang
    return None


def _is_sure(word: str) -> bool:
    return len(word) != 3 and language_of_name(word) is not None


def _word(path: Path) -> str:
    return path.name.removeprefix(_PUBLISHED).partition(".")[0]


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix
