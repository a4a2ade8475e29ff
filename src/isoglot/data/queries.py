"""Queries to search with, from a file: topics as TSV, or JSON Lines that may name their languages.

TSV: query id, tab, text. JSON Lines: ``query_id`` (or ``_id``, ``id``), ``text`` (or ``query``) and
optionally ``lang``. Either may be gzipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from isoglot.data.files import (
    ask_id,
    ask_language,
    ask_text,
    language_of_name,
    read_json_objects,
)
from isoglot.data.trec import read_topics
from isoglot.errors import DataError

__all__ = ["FileQuery", "read_queries"]

_ID_KEYS = ("query_id", "_id", "id")
_TEXT_KEYS = ("text", "query")
_JSON_ENDS = (".jsonl", ".jsonl.gz", ".json")
_ANY = "en"
"""Topics are read as in a language; which, matters nothing where none is known."""


class FileQuery(NamedTuple):
    """A query of a file."""

    query_id: str
    lang: str | None
    """None where the file does not say."""
    text: str


def read_queries(path: Path, lang: str | None = None) -> list[FileQuery]:
    """Read the queries of a file.

    Args:
        path: TSV or JSON Lines, by its name.
        lang: Language of queries that do not name theirs; default: the one that names the file,
            as in ``sw.tsv``, if it does.

    Raises:
        ConfigError: If ``lang`` is no language.
        DataError: If a line is malformed, an id comes twice in one language, or there is no query.
    """
    default = ask_language(lang, "--lang") if lang else language_of_name(path.name.split(".")[0])
    if path.name.endswith(_JSON_ENDS):
        return _read_json(path, default)
    topics = read_topics(path, default or _ANY)
    return [FileQuery(topic.query_id, default, topic.text) for topic in topics]


def _read_json(path: Path, default: str | None) -> list[FileQuery]:
    queries: dict[tuple[str, str | None], FileQuery] = {}
    for where, row in read_json_objects(path):
        query_id = ask_id(row, _one_of(_ID_KEYS, row, where), where)
        text = ask_text(row, _one_of(_TEXT_KEYS, row, where), where)
        lang = ask_language(ask_text(row, "lang", where), where) if "lang" in row else default
        if (query_id, lang) in queries:
            raise DataError(f"{where}: query id {query_id!r} comes twice; ids must be unique")
        queries[query_id, lang] = FileQuery(query_id, lang, text)
    if not queries:
        raise DataError(f"{path}: no queries")
    return list(queries.values())


def _one_of(keys: tuple[str, ...], row: dict[str, Any], where: str) -> str:
    for key in keys:
        if key in row:
            return key
    raise DataError(
        f"{where}: no {' or '.join(map(repr, keys))}; found {', '.join(row) or 'nothing'}"
    )
