"""A collection from plain ids and texts, as other tools hold them.

There an id stands for one text and nothing says its language, so the languages come separately.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isoglot.data.collection import Collection
from isoglot.errors import DataError
from isoglot.languages import normalize_language
from isoglot.records import Passage, Qrel, Query

__all__ = ["Languages", "build_collection"]

Languages = str | Mapping[str, str]
"""One language for all texts, or the language of each id."""


def build_collection(
    name: str,
    queries: Iterable[tuple[str, str]],
    passages: Iterable[tuple[str, str]],
    judgments: Iterable[tuple[str, str, int]],
    *,
    query_langs: Languages,
    passage_langs: Languages,
) -> Collection:
    """Give every text its language and check that all fits together.

    Args:
        name: What messages and results call it.
        queries: (query id, text).
        passages: (doc id, text).
        judgments: (query id, doc id, relevance).
        query_langs: ISO 639 codes; ``zh-Hans`` and the like are mapped.
        passage_langs: Likewise.

    Raises:
        ConfigError: If a code names no language.
        DataError: If an id has no language, or the parts do not fit together.
    """
    langs = _Resolver(name, "query", query_langs)
    query_rows = [Query(query_id, langs.of(query_id), text) for query_id, text in queries]
    passage_resolver = _Resolver(name, "passage", passage_langs)
    passage_rows = [Passage(i, passage_resolver.of(i), text) for i, text in passages]
    by_query = {query.query_id: query.lang for query in query_rows}
    # A judgment of an unknown query keeps an empty language; the collection then names the query.
    qrels = [Qrel(q, by_query.get(q, ""), doc_id, rel) for q, doc_id, rel in judgments]
    return Collection(name, query_rows, passage_rows, qrels)


class _Resolver:
    """Looks up languages and maps each different code once."""

    def __init__(self, name: str, what: str, langs: Languages) -> None:
        self._name = name
        self._what = what
        self._langs = langs
        self._codes: dict[str, str] = {}

    def of(self, text_id: str) -> str:
        code = self._langs if isinstance(self._langs, str) else self._langs.get(text_id)
        if code is None:
            raise DataError(
                f"{self._name}: {self._what} {text_id!r} has no language; add it to the mapping, "
                "or give one code for all"
            )
        if code not in self._codes:
            self._codes[code] = normalize_language(code, f"{self._name}: {self._what} {text_id!r}")
        return self._codes[code]
