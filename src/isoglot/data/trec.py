"""TREC text files: qrels, topics and runs.

Columns are separated by tabs or, in a line without tabs, by white space. Every error names file and
line. Measures are computed elsewhere, and ``isoglot.evaluation`` writes runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from isoglot.data.files import ask_language, read_lines
from isoglot.errors import DataError
from isoglot.records import Qrel, Query, ScoredDoc

__all__ = ["read_qrels", "read_run", "read_topics"]


def read_qrels(path: Path, query_lang: str) -> list[Qrel]:
    """Read judgments: ``query_id 0 doc_id relevance``; judged negatives keep their relevance 0.

    Raises:
        DataError: If a line has other than 4 columns, a relevance is no whole number, or a passage
            is judged twice for a query.
    """
    lang = ask_language(query_lang, str(path))
    qrels: dict[tuple[str, str], Qrel] = {}
    for where, (query_id, _, doc_id, relevance) in _read_columns(
        path, "query_id 0 doc_id relevance"
    ):
        if (query_id, doc_id) in qrels:
            raise DataError(
                f"{where}: passage {doc_id!r} is judged twice for query {query_id!r}; "
                "keep one judgment"
            )
        value = parse_relevance(relevance, where)
        qrels[query_id, doc_id] = Qrel(query_id, lang, doc_id, value)
    if not qrels:
        raise DataError(f"{path}: no judgments")
    return list(qrels.values())


def read_topics(path: Path, lang: str) -> list[Query]:
    """Read queries: ``query_id<TAB>text``.

    Raises:
        DataError: If a line has no tab or no text, or a query id comes twice.
    """
    lang = ask_language(lang, str(path))
    queries: dict[str, Query] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        query_id, tab, text = line.partition("\t")
        query_id = query_id.strip()
        if not tab or not query_id:
            raise DataError(f"{where}: expected a query id, a tab and the text, got {line!r}")
        if not text.strip():
            raise DataError(f"{where}: query {query_id!r} has an empty text")
        if query_id in queries:
            raise DataError(f"{where}: query id {query_id!r} comes twice; ids must be unique")
        queries[query_id] = Query(query_id, lang, text)
    if not queries:
        raise DataError(f"{path}: no topics")
    return list(queries.values())


def read_run(path: Path) -> list[ScoredDoc]:
    """Read results: ``query_id Q0 doc_id rank score tag``, in the order of the file.

    Only the scores count, as in trec_eval: the rank column is not looked at.

    Raises:
        DataError: If a line has other than 6 columns, a score is no finite number, or a passage
            comes twice for a query.
    """
    results: dict[tuple[str, str], ScoredDoc] = {}
    for where, (query_id, _, doc_id, _, score, _) in _read_columns(
        path, "query_id Q0 doc_id rank score tag"
    ):
        if (query_id, doc_id) in results:
            raise DataError(
                f"{where}: passage {doc_id!r} comes twice for query {query_id!r}; keep one line"
            )
        results[query_id, doc_id] = ScoredDoc(query_id, doc_id, _parse_score(score, where))
    if not results:
        raise DataError(f"{path}: no results")
    return list(results.values())


def parse_relevance(value: str, where: str) -> int:
    """Return a relevance as a whole number.

    Raises:
        DataError: If it is none.
    """
    try:
        return int(value)
    except ValueError:
        raise DataError(
            f"{where}: the relevance must be a whole number such as 0 or 1, got {value!r}"
        ) from None


def _parse_score(value: str, where: str) -> float:
    try:
        score = float(value)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DataError(f"{where}: the score must be a finite number, got {value!r}")
    return score


def _read_columns(path: Path, names: str) -> Iterator[tuple[str, list[str]]]:
    wanted = len(names.split())
    for number, line in read_lines(path):
        if not line.strip():
            continue
        columns = [c.strip() for c in line.split("\t")] if "\t" in line else line.split()
        if len(columns) != wanted or not all(columns):
            raise DataError(
                f"{path}:{number}: expected {wanted} columns ({names}), "
                f"got {sum(map(bool, columns))}"
            )
        yield f"{path}:{number}", columns
