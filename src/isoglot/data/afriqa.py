"""Read AfriQA as a collection or as training groups (arXiv 2305.06897).

Questions in African languages whose answers are in English or French: a folder per language of
passages, with ``corpus.jsonl`` (``docid``, ``title``, ``text``), ``topics.SPLIT.jsonl``
(``query_id``, ``lang``, ``text``, ``pivot_text``) and ``qrels.SPLIT.tsv`` (TREC), plain or gzip.
``pivot_text`` is the question translated into the language of the passages, the pivot. Doc ids here
are ``LANG:docid``, as in MIRACL.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection as Container
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from isoglot.data.collection import Collection
from isoglot.data.files import (
    ask_id,
    ask_language,
    ask_text,
    find_file,
    find_language_folders,
    hash_files,
    read_json_objects,
    select_languages,
)
from isoglot.data.miracl import check_passage_text, compose_passage
from isoglot.data.trec import read_qrels
from isoglot.errors import DataError
from isoglot.records import Group, Passage, Qrel, Query

__all__ = ["is_afriqa_folder", "read_afriqa", "read_afriqa_groups"]


class _Files(NamedTuple):
    """The files of one language of passages."""

    corpus: Path
    topics: dict[str, Path]
    """By split, like the judgments."""
    qrels: dict[str, Path]


class _Topic(NamedTuple):
    query_id: str
    lang: str
    text: str
    pivot_text: str


class _Part(NamedTuple):
    """What one language of passages has in one split."""

    lang: str
    passages: list[Passage]
    topics: list[_Topic]
    qrels: list[Qrel]
    """Under the languages of the questions."""
    files: tuple[Path, ...]


def is_afriqa_folder(folder: Path) -> bool:
    """Say whether a folder is in this layout: JSON Lines of topics tell it from MIRACL's."""
    return any(files.topics for files in _find_languages(folder).values())


def read_afriqa(
    folder: Path,
    *,
    name: str = "afriqa",
    langs: Iterable[str] | None = None,
    split: str | None = "dev",
    passage_text: str = "title text",
    pivots: bool = False,
) -> Collection:
    """Read the questions of a split, and the passages of all splits as one pool.

    Args:
        folder: A folder in this layout.
        name: Name of the collection.
        langs: Languages of questions to read, of passages, or both; default all. Naming none of one
            kind means all of that kind.
        split: Split of topics and judgments; None for ``dev`` or, without it, the first.
        passage_text: ``title text`` or ``text``; recorded in the options.
        pivots: Also ask every question in the language of its passages, under the same id. What an
            encoder finds then is what it would find if it knew the other language as well.

    Raises:
        ConfigError: If ``passage_text`` or a language is unknown.
        DataError: If a language or split is not there, a file is malformed, or a judgment names a
            question or passage that is not there.
    """
    check_passage_text(passage_text)
    found = _read_languages(folder)
    wanted = {ask_language(lang, str(folder)) for lang in langs or ()}
    pools, asked = wanted & found.keys(), wanted - found.keys()
    split = split or _default_split(found)
    parts = [
        _read_part(folder, lang, files, split, passage_text)
        for lang, files in found.items()
        if not pools or lang in pools
    ]
    _check_asked(folder, parts, split, asked)
    queries = [query for part in parts for query in _queries(part, asked, pivots)]
    keys = {(query.lang, query.query_id) for query in queries}
    judged = [qrel for part in parts for qrel in _judgments(part, pivots)]
    return Collection(
        name=name,
        queries=queries,
        passages=[passage for part in parts for passage in part.passages],
        qrels=[qrel for qrel in judged if (qrel.query_lang, qrel.query_id) in keys],
        sources=hash_files((path for part in parts for path in part.files), folder),
        options={"passage_text": passage_text, "split": split},
    )


def read_afriqa_groups(
    folder: Path, *, split: str = "train", passage_text: str = "title text"
) -> Iterator[Group]:
    """Yield a group per answered question: it and its translation, and the passage that answers it.

    Of several relevant passages it is the most relevant, and of equals the first in the file.
    Judged negatives are the group's negatives; questions without a relevant passage are left out.

    Args:
        folder: A folder in the layout of this module.
        split: Split of topics and judgments.
        passage_text: ``title text`` or ``text``.

    Raises:
        ConfigError: If ``passage_text`` is unknown.
        DataError: If the split is not there, a file is malformed, an id comes twice, or no question
            is answered.
    """
    check_passage_text(passage_text)
    seen: set[str] = set()
    for lang, files in _read_languages(folder).items():
        part = _read_part(folder, lang, files, split, passage_text)
        for group in _groups(part):
            if group.group_id in seen:
                raise DataError(
                    f"{files.topics[split]}: query id {group.group_id!r} comes twice; ids must be "
                    "unique in a split"
                )
            seen.add(group.group_id)
            yield group
    if not seen:
        raise DataError(f"{folder}: no question of split {split!r} has a relevant passage")


def _groups(part: _Part) -> Iterator[Group]:
    texts = {passage.doc_id: passage.text for passage in part.passages}
    qrels: dict[tuple[str, str], list[Qrel]] = defaultdict(list)
    for qrel in part.qrels:
        qrels[qrel.query_lang, qrel.query_id].append(qrel)
    for topic in part.topics:
        judged = qrels[topic.lang, topic.query_id]
        best = max(judged, key=lambda qrel: qrel.relevance, default=None)
        if best is None or best.relevance <= 0:
            continue
        yield Group(
            topic.query_id,
            {topic.lang: topic.text, part.lang: topic.pivot_text},
            {part.lang: texts[best.doc_id]},
            tuple({part.lang: texts[qrel.doc_id]} for qrel in judged if qrel.relevance <= 0),
        )


def _queries(part: _Part, asked: Container[str], pivots: bool) -> Iterator[Query]:
    for topic in part.topics:
        if asked and topic.lang not in asked:
            continue
        yield Query(topic.query_id, topic.lang, topic.text)
        if pivots:
            yield Query(topic.query_id, part.lang, topic.pivot_text)


def _judgments(part: _Part, pivots: bool) -> Iterator[Qrel]:
    for qrel in part.qrels:
        yield qrel
        if pivots:
            yield qrel._replace(query_lang=part.lang)


def _check_asked(folder: Path, parts: Iterable[_Part], split: str, asked: Iterable[str]) -> None:
    here = sorted({topic.lang for part in parts for topic in part.topics})
    if missing := sorted(set(asked) - set(here)):
        langs = " and ".join(part.lang for part in parts)
        raise DataError(
            f"{folder}: no questions in {missing[0]!r} over passages in {langs}, split {split!r}; "
            f"they are in {', '.join(here)}"
        )


def _read_languages(folder: Path) -> dict[str, _Files]:
    return select_languages(
        folder, _find_languages, None, expected="LANG/corpus.jsonl", missing="passages"
    )


def _find_languages(folder: Path) -> dict[str, _Files]:
    found = {}
    for lang, path in find_language_folders(folder).items():
        if corpus := find_file(path, "corpus.jsonl"):
            topics, qrels = _by_split(path, "topics", "jsonl"), _by_split(path, "qrels", "tsv")
            found[lang] = _Files(corpus, topics, qrels)
    return found


def _by_split(folder: Path, stem: str, ending: str) -> dict[str, Path]:
    """Return files by the split that their name carries."""
    pattern = rf"{stem}\.(.+)\.{ending}(\.gz)?"
    matches = ((re.fullmatch(pattern, path.name), path) for path in sorted(folder.iterdir()))
    return {match.group(1): path for match, path in matches if match}


def _splits(files: _Files) -> list[str]:
    """Return the splits with both topics and judgments."""
    return [split for split in files.topics if split in files.qrels]


def _default_split(found: dict[str, _Files]) -> str:
    splits = [split for files in found.values() for split in _splits(files)]
    return "dev" if "dev" in splits or not splits else splits[0]


def _read_part(folder: Path, lang: str, files: _Files, split: str, passage_text: str) -> _Part:
    if split not in _splits(files):
        raise DataError(
            f"{folder}: {lang} has no split {split!r} with topics.SPLIT.jsonl and "
            f"qrels.SPLIT.tsv; the splits here are {', '.join(_splits(files)) or 'none'}"
        )
    topics = _read_topics(files.topics[split], lang)
    passages = []
    for where, row in read_json_objects(files.corpus):
        text = compose_passage(row, passage_text, where)
        passages.append(Passage(f"{lang}:{ask_id(row, 'docid', where)}", lang, text))
    qrels = _read_judgments(files.qrels[split], lang, topics, passages)
    paths = (files.corpus, files.topics[split], files.qrels[split])
    return _Part(lang, passages, topics, qrels, paths)


def _read_topics(path: Path, pivot: str) -> list[_Topic]:
    topics: dict[str, _Topic] = {}
    for where, row in read_json_objects(path):
        lang = ask_language(ask_text(row, "lang", where), f"{where}: lang")
        if lang == pivot:
            raise DataError(
                f"{where}: lang {lang!r} is the language of the passages; a question here is in "
                "another language, and pivot_text is its translation"
            )
        query_id = ask_id(row, "query_id", where)
        if query_id in topics:
            raise DataError(f"{where}: query id {query_id!r} comes twice; ids must be unique")
        text, pivot_text = ask_text(row, "text", where), ask_text(row, "pivot_text", where)
        topics[query_id] = _Topic(query_id, lang, text, pivot_text)
    if not topics:
        raise DataError(f"{path}: no topics")
    return list(topics.values())


def _read_judgments(
    path: Path, lang: str, topics: Iterable[_Topic], passages: Iterable[Passage]
) -> list[Qrel]:
    """Read judgments, each under the language of its question."""
    query_langs = {topic.query_id: topic.lang for topic in topics}
    doc_ids = {passage.doc_id for passage in passages}
    qrels = []
    for query_id, _, doc_id, relevance in read_qrels(path, lang):
        if query_id not in query_langs:
            raise DataError(
                f"{path}: a judgment names query {query_id!r}, which is not among the topics of "
                "its split"
            )
        if f"{lang}:{doc_id}" not in doc_ids:
            raise DataError(
                f"{path}: query {query_id!r} has a judgment for passage {doc_id!r}, which is not "
                "in the corpus; fetch the whole corpus"
            )
        qrels.append(Qrel(query_id, query_langs[query_id], f"{lang}:{doc_id}", relevance))
    return qrels
