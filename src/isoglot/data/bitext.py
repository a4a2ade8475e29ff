"""Read aligned sentences as groups: query and passage are then the same texts.

Two formats, plain or gzip: JSON Lines with ``text`` {lang: sentence} and optionally ``id`` and
``source``, and TSV with a header row of language codes, where a cell may be empty. Each row needs
two languages. Training on translation pairs then draws its batches as from any other groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.data.files import (
    ask_id,
    ask_language,
    ask_texts,
    read_json_objects,
    read_lines,
    refuse_unknown_keys,
)
from isoglot.errors import DataError
from isoglot.records import Group

__all__ = ["is_tsv", "read_bitext"]

_FIELDS = ("id", "source", "text")


class _Row(NamedTuple):
    where: str
    group_id: str
    texts: dict[str, str]
    source: Any


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
    rows = _read_tsv(path) if is_tsv(path) else _read_jsonl(path)
    left_out: set[str] = set()
    missing = set(sources or ())
    for where, group_id, texts, source in rows:
        missing.discard(source)
        if sources is not None and source not in sources:
            left_out.add(str(source or "rows without a source"))
            continue
        if len(texts) < 2:
            raise DataError(
                f"{where}: a row needs texts in two languages, got {', '.join(texts) or 'none'}"
            )
        if group_id in seen:
            raise DataError(f"{where}: id {group_id!r} comes twice; ids must be unique")
        seen.add(group_id)
        yield Group(group_id, texts, texts)
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


def _read_jsonl(path: Path) -> Iterator[_Row]:
    for where, row in read_json_objects(path):
        refuse_unknown_keys(row, _FIELDS, where)
        group_id = ask_id(row, "id", where) if "id" in row else _name_row(path, where)
        yield _Row(where, group_id, ask_texts(row, "text", where), row.get("source"))


def _read_tsv(path: Path) -> Iterator[_Row]:
    langs: list[str] = []
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        cells = [cell.strip() for cell in line.split("\t")]
        if number == 1:
            langs = _read_header(cells, where)
            continue
        if not line.strip():
            continue
        if len(cells) != len(langs):
            raise DataError(
                f"{where}: expected {len(langs)} columns ({' '.join(langs)}) with tabs between, "
                f"got {len(cells)}"
            )
        texts = {lang: cell for lang, cell in zip(langs, cells, strict=True) if cell}
        yield _Row(where, _name_row(path, where), texts, None)


def _read_header(cells: list[str], where: str) -> list[str]:
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
