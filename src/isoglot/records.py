"""The records every stage speaks in. No behaviour here.

Ids are strings. A query id is unique within its language: the same question in several languages
keeps one id (XQuAD-R), so the full key of a query is ``(lang, query_id)``. A ``doc_id`` is unique
in the whole collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Query(NamedTuple):
    """A text to search with."""

    query_id: str
    lang: str
    text: str


class Passage(NamedTuple):
    """The retrieved unit. ``text`` is what an encoder reads, any title included."""

    doc_id: str
    lang: str
    text: str


class Qrel(NamedTuple):
    """One judgment; ``relevance`` 0 is a judged negative."""

    query_id: str
    query_lang: str
    doc_id: str
    relevance: int


class ScoredDoc(NamedTuple):
    """One line of a run."""

    query_id: str
    doc_id: str
    score: float


class Group(NamedTuple):
    """One piece of meaning: the same question and the same passage in several languages.

    The languages of ``query`` and ``passage`` need not be the same; ``negatives`` are passages that
    do not answer the question, each again ``{lang: text}``.
    """

    group_id: str
    query: Mapping[str, str]
    passage: Mapping[str, str]
    negatives: Sequence[Mapping[str, str]] = ()
