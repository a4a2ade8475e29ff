"""Translated topics: queries of one language, put into another, with the judgments they had.

MIRACL has queries only in the language of their passages. English topics translated into Swahili
ask for English passages in Swahili, and so give the pair (sw, en) a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from isoglot.artifacts import file_sha256
from isoglot.data.collection import Collection
from isoglot.data.files import read_lines
from isoglot.data.trec import read_topics
from isoglot.errors import ConfigError, DataError
from isoglot.languages import normalize_language
from isoglot.records import Query

__all__ = ["TRANSLATED_TOPICS", "TopicsSpec", "add_translated_topics", "parse_topics_spec"]

TRANSLATED_TOPICS = "translated_topics"
"""Option of a collection with translated topics: ``en:sw`` for English ones in Swahili."""


class TopicsSpec(NamedTuple):
    """A file of translated topics."""

    source_lang: str
    """Language whose topics they are."""
    lang: str
    """Language they are in."""
    path: Path


def parse_topics_spec(text: str) -> TopicsSpec:
    """Parse ``SOURCE:LANG=FILE``.

    Raises:
        ConfigError: If it has another form, or a language is unknown.

    >>> parse_topics_spec("en:sw=topics.sw.tsv")
    TopicsSpec(source_lang='en', lang='sw', path=PosixPath('topics.sw.tsv'))
    """
    langs, equals, path = text.partition("=")
    source, colon, lang = langs.partition(":")
    if not (source.strip() and colon and lang.strip() and equals and path.strip()):
        raise ConfigError(
            f"translated topics {text!r}: expected SOURCE:LANG=FILE, such as en:sw=topics.sw.tsv "
            "for topics in en translated into sw"
        )
    where = f"translated topics {text!r}"
    return TopicsSpec(
        normalize_language(source.strip(), where),
        normalize_language(lang.strip(), where),
        Path(path.strip()),
    )


def add_translated_topics(
    collection: Collection, path: Path, *, lang: str, source_lang: str
) -> Collection:
    """Add topics in ``lang`` that are translations of topics in ``source_lang``.

    Topic ``7`` of English becomes the query ``en:7``, so that it stays apart from a topic ``7`` of
    the language itself, and takes over all judgments of its source. A file may translate some of
    the topics.

    Args:
        collection: Holds the source topics and their judgments.
        path: ``query_id<TAB>text``, ids as in the source topics.
        lang: Language of the texts.
        source_lang: Language of the topics that were translated.

    Raises:
        ConfigError: If the languages are the same, or one is unknown.
        DataError: If the file is malformed, an id is none of the source topics, or they were added
            before.
    """
    lang, source_lang = (normalize_language(code, str(path)) for code in (lang, source_lang))
    if lang == source_lang:
        raise ConfigError(f"{path}: topics in {lang!r} are no translation of topics in {lang!r}")
    topics = read_topics(path, lang)
    _check_topics(collection, path, topics, source_lang)
    added = {topic.query_id: f"{source_lang}:{topic.query_id}" for topic in topics}
    pair = f"{source_lang}:{lang}"
    others = collection.options.get(TRANSLATED_TOPICS, "").split()
    return replace(
        collection,
        queries=[*collection.queries, *(t._replace(query_id=added[t.query_id]) for t in topics)],
        qrels=[
            *collection.qrels,
            *(
                qrel._replace(query_id=added[qrel.query_id], query_lang=lang)
                for qrel in collection.qrels
                if qrel.query_lang == source_lang and qrel.query_id in added
            ),
        ],
        sources={**collection.sources, f"translated/{pair}/{path.name}": file_sha256(path)},
        options={**collection.options, TRANSLATED_TOPICS: " ".join([*others, pair])},
    )


def _check_topics(
    collection: Collection, path: Path, topics: Sequence[Query], source_lang: str
) -> None:
    """Name the first topic that has no source or was added before."""
    keys = {(query.lang, query.query_id) for query in collection.queries}
    name = collection.name
    for query_id, lang, _ in topics:
        if (source_lang, query_id) not in keys:
            raise DataError(
                f"{_line_of(path, query_id)}: {name} has no topic {query_id!r} in {source_lang!r}; "
                "translate topics of the split that is evaluated and keep their ids"
            )
        if (lang, added := f"{source_lang}:{query_id}") in keys:
            raise DataError(
                f"{_line_of(path, query_id)}: {name} has a query {added!r} in {lang!r} already; "
                "give each pair of languages one file"
            )


def _line_of(path: Path, query_id: str) -> str:
    """Return ``path:line`` of a topic that is known to be in the file."""
    lines = read_lines(path)
    number = next(n for n, line in lines if line.partition("\t")[0].strip() == query_id)
    return f"{path}:{number}"
