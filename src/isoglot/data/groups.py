"""Parallel groups as JSON Lines: the same question and passage in several languages.

One object per line: ``id``, ``query`` {lang: text}, ``passage`` {lang: text}, optionally
``negatives`` (a list of {lang: text}) and ``split``. How pairs are drawn from groups is the
business of ``isoglot.batches``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from isoglot.data.collection import Collection
from isoglot.data.files import (
    ask_id,
    ask_texts,
    check_texts,
    read_json_objects,
    refuse_unknown_keys,
    write_json_lines,
)
from isoglot.errors import DataError
from isoglot.records import Group, Passage, Qrel, Query

__all__ = ["groups_to_collection", "parse_group", "read_groups", "write_groups"]

_FIELDS = ("id", "query", "passage", "negatives", "split")


def read_groups(path: Path, *, split: str | None = None) -> Iterator[Group]:
    """Yield the groups of a JSON Lines file, one at a time.

    Args:
        path: Plain or gzip file.
        split: Yield only the rows whose ``split`` is this; default all rows.

    Raises:
        DataError: If a row is malformed, an id comes twice, or there are no groups.
    """
    seen: set[str] = set()
    count = 0
    for where, row in read_json_objects(path):
        group = parse_group(row, where)
        if group.group_id in seen:
            raise DataError(f"{where}: group id {group.group_id!r} comes twice; ids must be unique")
        seen.add(group.group_id)
        if split is None or row.get("split") == split:
            count += 1
            yield group
    if not count:
        raise DataError(f"{path}: no groups" + (f" of split {split!r}" if split else ""))


def parse_group(row: dict[str, Any], where: str) -> Group:
    """Return the group of one row.

    Raises:
        DataError: If the row is malformed.
    """
    refuse_unknown_keys(row, _FIELDS, where)
    negatives = row.get("negatives", [])
    if not isinstance(negatives, list):
        raise DataError(f'{where}: negatives must be a list of mappings such as [{{"en": "..."}}]')
    return Group(
        ask_id(row, "id", where),
        ask_texts(row, "query", where),
        ask_texts(row, "passage", where),
        tuple(check_texts(n, f"{where}: negatives[{i}]") for i, n in enumerate(negatives)),
    )


def write_groups(path: Path, groups: Iterable[Group]) -> int:
    """Write groups atomically, as gzip if the name ends in ``.gz``; return how many."""
    return write_json_lines(path, (_to_row(group) for group in groups))


def groups_to_collection(
    groups: Iterable[Group],
    name: str,
    *,
    sources: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Collection:
    """Make a test collection of held-out groups.

    Every query of a group, in each of its languages, has as relevant passages the group's passage
    in all of its languages; doc ids are ``LANG/group_id``. Negatives are left out: they are
    material for training.

    Raises:
        DataError: If the groups make no valid collection.
    """
    queries: list[Query] = []
    passages: list[Passage] = []
    qrels: list[Qrel] = []
    for group in groups:
        found = [
            Passage(f"{lang}/{group.group_id}", lang, text) for lang, text in group.passage.items()
        ]
        passages += found
        for lang, text in group.query.items():
            queries.append(Query(group.group_id, lang, text))
            qrels += [Qrel(group.group_id, lang, passage.doc_id, 1) for passage in found]
    return Collection(name, queries, passages, qrels, dict(sources or {}), dict(options or {}))


def _to_row(group: Group) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": group.group_id,
        "query": dict(group.query),
        "passage": dict(group.passage),
    }
    if group.negatives:
        row["negatives"] = [dict(negative) for negative in group.negatives]
    return row
