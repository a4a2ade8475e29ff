"""Read the BEIR layout as a collection.

``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``) and
``qrels/SPLIT.tsv`` (header ``query-id corpus-id score``), plain or gzip. The layout has no
place for a language: a line may carry ``lang`` or ``metadata.lang``, and the caller names the
language of the other lines.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isoglot.data.collection import Collection
from isoglot.data.corpus import store_passages
from isoglot.data.files import (
    ask_id,
    ask_language,
    ask_text,
    find_file,
    hash_files,
    list_folder,
    read_json_objects,
    read_lines,
)
from isoglot.data.miracl import check_passage_text, compose_passage
from isoglot.data.trec import parse_relevance
from isoglot.errors import DataError
from isoglot.records import Passage, Qrel, Query

__all__ = ["is_beir_folder", "read_beir"]

_HEADER = ["query-id", "corpus-id", "score"]


def read_beir(
    folder: Path,
    *,
    name: str = "beir",
    lang: str | None = None,
    split: str = "test",
    passage_text: str = "title text",
    store: Path | None = None,
    show_progress: bool = False,
) -> Collection:
    """Read a BEIR folder.

    ``queries.jsonl`` holds the queries of all splits; those that the split does not judge are left
    out, as BEIR does.

    Args:
        folder: A folder in BEIR layout.
        name: Name of the collection.
        lang: Language of the lines that do not name theirs.
        split: Which file of ``qrels/``.
        passage_text: ``title text`` or ``text``; recorded in the options.
        store: Keep the passages in this folder, by language, instead of in memory; it is used again
            if it was made from the same file.
        show_progress: Show the progress of storing.

    Raises:
        ConfigError: If ``passage_text`` is unknown.
        DataError: If a file is missing or malformed, a query id comes twice, or a line's language
            is not known.
    """
    check_passage_text(passage_text)
    corpus_path = _ask_file(folder, "corpus.jsonl")
    queries_path = _ask_file(folder, "queries.jsonl")
    qrels_path = _qrels_path(folder, split)
    queries = {query.query_id: query for query in _read_queries(queries_path, lang)}
    judgments = list(_read_judgments(qrels_path, queries))
    judged = {qrel.query_id for qrel in judgments}
    sources = hash_files((corpus_path, queries_path, qrels_path), folder)
    read = functools.partial(_read_corpus, corpus_path, lang, passage_text)
    if store is None:
        passages: Sequence[Passage] = list(read())
    else:
        corpus = corpus_path.relative_to(folder).as_posix()
        key = {corpus: sources[corpus], "passage_text": passage_text, "lang": lang or ""}
        passages = store_passages(store, key, read, name=name, show_progress=show_progress)
    return Collection(
        name=name,
        queries=[query for query in queries.values() if query.query_id in judged],
        passages=passages,
        qrels=judgments,
        sources=sources,
        options={"passage_text": passage_text, "split": split},
    )


def is_beir_folder(folder: Path) -> bool:
    """Say whether a folder has BEIR's files."""
    has_texts = find_file(folder, "corpus.jsonl") and find_file(folder, "queries.jsonl")
    return bool(has_texts and (folder / "qrels").is_dir())


def _ask_file(folder: Path, name: str) -> Path:
    path = find_file(folder, name)
    if path is None:
        found = list_folder(folder) if folder.is_dir() else "no such folder"
        raise DataError(f"{folder}: no {name} or {name}.gz; found {found}")
    return path


def _qrels_path(folder: Path, split: str) -> Path:
    path = find_file(folder / "qrels", f"{split}.tsv")
    if path is None:
        splits = sorted(p.name.split(".tsv")[0] for p in (folder / "qrels").glob("*.tsv*"))
        raise DataError(
            f"{folder}: no qrels/{split}.tsv; the splits here are {', '.join(splits) or 'none'}"
        )
    return path


def _read_queries(path: Path, lang: str | None) -> Iterator[Query]:
    seen = set()
    for where, row in read_json_objects(path):
        query_id = ask_id(row, "_id", where)
        if query_id in seen:
            raise DataError(f"{where}: query id {query_id!r} comes twice; ids must be unique")
        seen.add(query_id)
        yield Query(query_id, _language(row, lang, where), ask_text(row, "text", where))


def _read_corpus(path: Path, lang: str | None, passage_text: str) -> Iterator[Passage]:
    for where, row in read_json_objects(path):
        text = compose_passage(row, passage_text, where)
        yield Passage(ask_id(row, "_id", where), _language(row, lang, where), text)


def _language(row: dict[str, Any], default: str | None, where: str) -> str:
    metadata = row.get("metadata")
    named = row.get("lang") or (metadata.get("lang") if isinstance(metadata, dict) else None)
    code = named or default
    if code is None:
        raise DataError(
            f"{where}: the language is not known; add a field 'lang' to each line, or name the "
            "language of the whole folder with --lang"
        )
    return ask_language(code, where)


def _read_judgments(path: Path, queries: dict[str, Query]) -> Iterator[Qrel]:
    for number, line in read_lines(path):
        columns = [column.strip() for column in line.split("\t")]
        if not line.strip() or (number == 1 and columns == _HEADER):
            continue
        where = f"{path}:{number}"
        if len(columns) != 3:
            raise DataError(
                f"{where}: expected 3 columns ({' '.join(_HEADER)}) with tabs between, "
                f"got {len(columns)}"
            )
        query_id, doc_id, score = columns
        if query_id not in queries:
            raise DataError(f"{where}: query {query_id!r} is not in queries.jsonl")
        yield Qrel(query_id, queries[query_id].lang, doc_id, parse_relevance(score, where))
