"""Read aligned sentences as groups: query and passage are then the same texts.

Two formats, plain or gzip: JSON Lines with ``text`` {lang: sentence} and optionally ``id`` and
``source``, and TSV with a header row of language codes, where a cell may be empty. Each row needs
two languages. Training on translation pairs then draws its batches as from any other groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.data.files import (
    ask_id,
    ask_language,
    ask_texts,
    parse_json_objects,
    read_lines,
    refuse_unknown_keys,
)
from isoglot.errors import DataError
from isoglot.records import Group

__all__ = [
    "NO_SOURCE",
    "BitextRow",
    "is_tsv",
    "parse_bitext",
    "read_bitext",
    "refuse_single_language",
]

NO_SOURCE = "rows without a source"
"""Name of rows that are passed over and name no source, for errors."""

_FIELDS = ("id", "source", "text")


class BitextRow(NamedTuple):
    """A row of a bitext."""

    where: str
    """``path:line``"""
    group: Group
    source: Any
    """Its field ``source``."""


def read_bitext(path: Path, sources: Collection[str] | None = None) -> Iterator[Group]:
    """Yield the rows of a bitext file, one at a time.

    A row without an id is named by file and line, so that ids of several files do not meet.

    Args:
        path: The file.
        sources: Read only the rows whose ``source`` is one of these; default: all rows.

    Raises:
        DataError: If a row is malformed, has fewer than two languages or repeats an id, or there
            are no rows, or none of one of the sources.
    """
    seen: set[str] = set()
    left_out: set[str] = set()
    missing = set(sources or ())
    for where, group, source in parse_bitext(read_lines(path), path):
        missing.discard(source)
        if sources is not None and source not in sources:
            left_out.add(str(source or NO_SOURCE))
            continue
        refuse_single_language(group, where)
        if group.group_id in seen:
            raise DataError(f"{where}: id {group.group_id!r} comes twice; ids must be unique")
        seen.add(group.group_id)
        yield group
    if missing:
        raise DataError(
            f"{path}: no rows of source {', '.join(sorted(missing))}; "
            f"other sources here: {', '.join(sorted(left_out)[:10]) or 'none'}"
        )
    if not seen:
        raise DataError(f"{path}: no rows")


def is_tsv(path: Path) -> bool:
    """Say whether a file name is that of a TSV file."""
    return path.name.endswith((".tsv", ".tsv.gz"))


def parse_bitext(
    lines: Iterable[tuple[int, str]], path: Path, header: str | None = None
) -> Iterator[BitextRow]:
    """Yield the rows of numbered lines, whatever their sources.

    Args:
        lines: Of a bitext file.
        path: The file.
        header: The first line of a TSV file, where it is not among ``lines``.

    Raises:
        DataError: If a row is malformed.
    """
    return _parse_tsv(lines, path, header) if is_tsv(path) else _parse_jsonl(lines, path)


def refuse_single_language(group: Group, where: str) -> None:
    """Refuse a row that is no translation.

    Raises:
        DataError: If it has fewer than two languages.
    """
    if len(group.query) < 2:
        raise DataError(
            f"{where}: a row needs texts in two languages, got {', '.join(group.query) or 'none'}"
        )


def _parse_jsonl(lines: Iterable[tuple[int, str]], path: Path) -> Iterator[BitextRow]:
    for where, row in parse_json_objects(lines, path):
        refuse_unknown_keys(row, _FIELDS, where)
        group_id = ask_id(row, "id", where) if "id" in row else _name_row(path, where)
        texts = ask_texts(row, "text", where)
        yield BitextRow(where, Group(group_id, texts, texts), row.get("source"))


def _parse_tsv(
    lines: Iterable[tuple[int, str]], path: Path, header: str | None
) -> Iterator[BitextRow]:
    langs = _read_header(header, f"{path}:1") if header is not None else []
    for number, line in lines:
        where = f"{path}:{number}"
        if number == 1:
            langs = _read_header(line, where)
            continue
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(langs):
            raise DataError(
                f"{where}: expected {len(langs)} columns ({' '.join(langs)}) with tabs between, "
                f"got {len(cells)}"
            )
        texts = {lang: cell for lang, cell in zip(langs, cells, strict=True) if cell}
        yield BitextRow(where, Group(_name_row(path, where), texts, texts), None)


def _read_header(line: str, where: str) -> list[str]:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) < 2:
        raise DataError(
            f"{where}: expected a header row of language codes with tabs between, such as en<TAB>sw"
        )
    langs = [ask_language(cell, where) for cell in cells]
    if len(set(langs)) < len(langs):
        raise DataError(f"{where}: a language comes twice in the header: {' '.join(langs)}")
    return langs


def _name_row(path: Path, where: str) -> str:
    return f"{path.name}:{where.rpartition(':')[2]}"
