"""Data sets in pieces that workers turn into blocks of groups: lines of a file, or groups.

One process reads and, where it must, unpacks; parsing, checking and hashing, which take ten times
as long, are the workers'. A piece keeps the number of its first line, so errors name file and line.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from isoglot.config.sources import SourceConfig
from isoglot.data.afriqa import read_afriqa_groups
from isoglot.data.bitext import NO_SOURCE, parse_bitext, read_bitext, refuse_single_language
from isoglot.data.files import parse_json_objects, read_pieces, split_lines
from isoglot.data.groups import parse_group, read_groups
from isoglot.data.hub import HubColumns, read_hub
from isoglot.data.prepared.blocks import Block, BlockBuilder
from isoglot.data.prepared.hashing import Hashes, has_repeats, number_equal
from isoglot.data.squad import read_squad
from isoglot.errors import ConfigError, DataError
from isoglot.records import Group

__all__ = ["Piece", "check_whole", "cut_source", "make_block", "nothing_left", "read_source"]

_SHOWN = 10
"""Other sources that are kept of a piece, for the message that names some."""
_PIECE_BYTES = 8 << 20
_PIECE_GROUPS = 20_000


@dataclass(frozen=True)
class Piece:
    """A part of a data set, in order."""

    source: SourceConfig
    content: bytes | Sequence[Group]
    """Whole lines of a file, or groups where its format has no lines."""
    first: int
    """Number of the first line or row."""
    head: bytes
    """The first line of the file, which names the columns of a TSV file."""
    size: int
    """Amount of the data set read so far, in bytes of the file; 0 if unknown."""


def cut_source(source: SourceConfig) -> Iterator[Piece]:
    """Yield the pieces of a data set.

    Raises:
        DataError: If a file is missing or cannot be read.
    """
    if source.format in ("groups", "bitext"):
        yield from _cut_lines(source)
        return
    groups, first = iter(read_source(source)), 0
    while content := list(islice(groups, _PIECE_GROUPS)):
        yield Piece(source, content, first, b"", 0)
        first += len(content)


def _cut_lines(source: SourceConfig) -> Iterator[Piece]:
    head = b""
    for content, number, position in read_pieces(Path(source.path), _PIECE_BYTES):
        head = head or content.partition(b"\n")[0]
        yield Piece(source, content, number, head, position)


def read_source(source: SourceConfig) -> Iterable[Group]:
    """Read the groups of one data set, one after the other.

    Raises:
        DataError: If a file is missing or malformed.
    """
    path = Path(source.path)
    match source.format:
        case "groups":
            return read_groups(path)
        case "bitext":
            return read_bitext(path, source.sources)
        case "squad":
            assert source.language is not None, "checked by the schema"
            return read_squad(path, source.language).groups
        case "afriqa":
            return read_afriqa_groups(path, split=source.split)
        case "hub":
            columns = HubColumns(
                query_column=source.query_column,
                passage_column=source.passage_column,
                query_lang=source.query_lang,
                passage_lang=source.passage_lang,
                negative_columns=source.negative_columns,
                id_column=source.id_column,
            )
            return read_hub(source.path, columns, split=source.split, revision=source.revision)


def make_block(piece: Piece, prefix: str, left_out: Collection[str]) -> Block:
    """Parse and check a piece.

    Args:
        piece: The piece.
        prefix: Stands before the ids where they decide what is held out.
        left_out: Ids of groups to pass over.

    Raises:
        DataError: If a row is malformed.
    """
    builder = BlockBuilder(piece.source.label, prefix)
    notes = _Notes()
    for line, group in _parse(piece, notes):
        notes.rows += 1
        if group.group_id not in left_out:
            builder.add(group, line)
    return builder.finish(vars(notes))


class _Notes:
    """What a whole file is asked for when all its pieces are read."""

    def __init__(self) -> None:
        self.rows = 0
        self.sources: dict[str, None] = {}
        """The wanted values of ``source`` that a bitext has."""
        self.others: dict[str, None] = {}
        """Those that are passed over."""


def _parse(piece: Piece, notes: _Notes) -> Iterator[tuple[int, Group]]:
    if not isinstance(piece.content, bytes):
        yield from enumerate(piece.content, start=piece.first)
    elif piece.source.format == "groups":
        yield from _parse_groups(piece)
    else:
        yield from _parse_bitext(piece, notes)


def _parse_groups(piece: Piece) -> Iterator[tuple[int, Group]]:
    path = Path(piece.source.path)
    for where, row in parse_json_objects(_lines(piece), path):
        yield _line_number(where), parse_group(row, where)


def _parse_bitext(piece: Piece, notes: _Notes) -> Iterator[tuple[int, Group]]:
    path, wanted = Path(piece.source.path), piece.source.sources
    ((_, header),) = split_lines(piece.head, path, 1)
    for where, group, source in parse_bitext(_lines(piece), path, header):
        if wanted is not None:
            known = source in wanted
            names = notes.sources if known else notes.others
            if known or len(names) < _SHOWN:
                names.setdefault(str(source or NO_SOURCE))
            if not known:
                continue
        refuse_single_language(group, where)
        yield _line_number(where), group


def _lines(piece: Piece) -> Iterator[tuple[int, str]]:
    assert isinstance(piece.content, bytes), "of a format in lines"
    return split_lines(piece.content, Path(piece.source.path), piece.first)


def _line_number(where: str) -> int:
    return int(where.rpartition(":")[2])


def check_whole(source: SourceConfig, blocks: Sequence[Block]) -> None:
    """Check what only all blocks of a data set together can show.

    Raises:
        ConfigError: If every group was left out.
        DataError: If there is no group, none of a wanted source, or an id comes twice.
    """
    path, label = source.path, source.label
    notes = [json.loads(block["notes"].tobytes()) for block in blocks]
    if source.sources is not None:
        found, others = ({n for note in notes for n in note[key]} for key in ("sources", "others"))
        if missing := set(source.sources) - found:
            raise DataError(
                f"{path}: no rows of source {', '.join(sorted(missing))}; "
                f"other sources here: {', '.join(sorted(others)[:10]) or 'none'}"
            )
    if not sum(note["rows"] for note in notes):
        what = {"groups": "no groups", "bitext": "no rows"}
        raise DataError(f"{path}: {what.get(source.format, f'data set {label!r} has no groups')}")
    if not any(len(block["line"]) for block in blocks):
        raise nothing_left(label)
    hashes = np.concatenate([block["id_hash"] for block in blocks])
    if has_repeats(hashes):
        _refuse_repeated(source, blocks, hashes)


def nothing_left(label: str) -> ConfigError:
    """Return what is raised where every group of a data set was left out."""
    return ConfigError(
        f"leave_out_leaks: every group of {label} holds a text of a benchmark; take the "
        "data set out or set leave_out_leaks: false"
    )


def _refuse_repeated(source: SourceConfig, blocks: Sequence[Block], hashes: Hashes) -> None:
    """Raise for the first group whose id an earlier one has."""
    group = int(np.argmax(number_equal(hashes) != np.arange(len(hashes))))
    for block in blocks:
        if group < len(block["line"]):
            break
        group -= len(block["line"])
    start, end = np.concatenate([[0], block["id_ends"]])[group : group + 2]
    name = block["id_bytes"][start:end].tobytes().decode()
    what = "group id" if source.format == "groups" else "id"
    raise DataError(
        f"{source.path}:{block['line'][group]}: {what} {name!r} comes twice; ids must be unique"
    )
