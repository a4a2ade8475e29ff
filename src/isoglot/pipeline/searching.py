"""A file of queries to TREC runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isoglot.artifacts import atomic_write
from isoglot.config.search import SearchConfig
from isoglot.data.queries import FileQuery
from isoglot.errors import ConfigError, DataError
from isoglot.progress import progress_bar
from isoglot.retrieval.search import Hit, Searcher

__all__ = ["search_file"]

RUN_TAG = "isoglot"
_QUERIES_AT_A_TIME = 1024
_RUN_END = ".trec"


def search_file(
    searcher: Searcher, queries: Sequence[FileQuery], config: SearchConfig, output: Path
) -> dict[str, int]:
    """Search with many queries and write what is found.

    Args:
        searcher: An open index.
        queries: At least one.
        config: How they are answered.
        output: ``NAME.trec`` for one run; any other name is a folder of ``LANG.trec``, one run
            per query language, which ``isoglot evaluate --run`` reads.

    Returns:
        Passages found by language.

    Raises:
        ConfigError: If a folder is wanted and a query does not say its language.
        DataError: If a query id would come twice in a run, or has white space.
        ArtifactError: If the output cannot be written.
    """
    runs = _split(queries, output)
    langs: Counter[str] = Counter()
    with progress_bar("searching", len(queries), "query") as bar:
        for path, own in runs.items():
            with atomic_write(path) as file:
                for start in range(0, len(own), _QUERIES_AT_A_TIME):
                    part = own[start : start + _QUERIES_AT_A_TIME]
                    texts = [query.text for query in part]
                    answers = searcher.search(texts, config)
                    for query, hits in zip(part, answers, strict=True):
                        file.writelines(_lines(query.query_id, hits))
                        langs.update(hit.lang for hit in hits)
                    bar.update(len(part))
    return dict(langs.most_common())


def _split(queries: Sequence[FileQuery], output: Path) -> dict[Path, list[FileQuery]]:
    """Return the queries of every run."""
    runs: dict[Path, list[FileQuery]] = {}
    seen: set[tuple[Path, str]] = set()
    for query in queries:
        path = output
        if output.suffix != _RUN_END:
            if query.lang is None:
                raise ConfigError(
                    f"query {query.query_id!r} does not say its language; name it with --lang, or "
                    f"give a file NAME{_RUN_END} as --output"
                )
            path = output / f"{query.lang}{_RUN_END}"
        if query.query_id.split() != [query.query_id]:
            raise DataError(
                f"query id {query.query_id!r} is empty or has white space, which separates the "
                "columns of TREC files; rename it, for example with '_'"
            )
        if (path, query.query_id) in seen:
            raise DataError(
                f"query id {query.query_id!r} comes in several languages; give a folder as "
                "--output, which keeps a run for each"
            )
        seen.add((path, query.query_id))
        runs.setdefault(path, []).append(query)
    return runs


def _lines(query_id: str, hits: Sequence[Hit]) -> list[str]:
    """Return the lines of a run; nine digits tell any two float32 values apart.

    Who reads a run sorts it by score. So that the order stays, a score that is not below the one
    before becomes the next lower float32.
    """
    lines = []
    last = np.float32(np.inf)
    for rank, hit in enumerate(hits, 1):
        last = min(np.float32(hit.score), np.nextafter(last, np.float32(-np.inf)))
        lines.append(f"{query_id} Q0 {hit.doc_id} {rank} {last:.9g} {RUN_TAG}\n")
    return lines
