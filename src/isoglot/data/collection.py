"""A test collection: corpus, queries and judgments, each with its language.

Only the structure and its consistency checks are here; readers for file formats build collections,
``isoglot.evaluation`` measures on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from isoglot.data.corpus import StoredPassages, count_passages, find_missing_ids
from isoglot.errors import DataError
from isoglot.records import Passage, Qrel, Query

__all__ = ["BLANK_PASSAGES", "Collection"]

BLANK_PASSAGES = "blank_passages"
"""Option by which a reader says that it kept passages without text on purpose, and how many."""


@dataclass(frozen=True)
class Collection:
    """Corpus + queries + qrels, checked when built.

    Raises:
        DataError: If an id occurs twice, a text is empty, or a judgment names a query or passage
            that is not there.
    """

    name: str
    queries: Sequence[Query]
    passages: Sequence[Passage]
    """In memory, or `StoredPassages`, which are checked when they are written."""
    qrels: Sequence[Qrel]
    sources: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every file the collection was read from, by file name."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Choices that change the texts or the judgments, such as ``candidates: sentence``."""

    def __post_init__(self) -> None:
        self._check_queries()
        self._check_passages()
        self._check_qrels()

    @property
    def query_langs(self) -> tuple[str, ...]:
        """Languages of the queries, sorted."""
        return tuple(sorted({query.lang for query in self.queries}))

    @property
    def passage_langs(self) -> tuple[str, ...]:
        """Languages of the passages, sorted."""
        return tuple(sorted(count_passages(self.passages)))

    def restrict(self, langs: Iterable[str]) -> Collection:
        """Return the part whose queries and passages are in the given languages.

        Raises:
            DataError: If a language has neither queries nor passages here.
        """
        wanted = set(langs)
        here = {*self.query_langs, *self.passage_langs}
        if missing := sorted(wanted - here):
            raise DataError(
                f"{self.name}: no texts in {', '.join(missing)}; it has {', '.join(sorted(here))}"
            )
        passages: Sequence[Passage]
        if isinstance(self.passages, StoredPassages):
            passages = self.passages.restrict(wanted)
        else:
            passages = [passage for passage in self.passages if passage.lang in wanted]
        elsewhere = find_missing_ids(passages, (qrel.doc_id for qrel in self.qrels))
        return replace(
            self,
            queries=[query for query in self.queries if query.lang in wanted],
            passages=passages,
            qrels=[q for q in self.qrels if q.query_lang in wanted and q.doc_id not in elsewhere],
        )

    def _check_queries(self) -> None:
        if not self.queries:
            raise DataError(f"{self.name}: no queries")
        counts = Counter((query.lang, query.query_id) for query in self.queries)
        _refuse_repeats(
            self.name, "query", (f"{i} ({lang})" for (lang, i), n in counts.items() if n > 1)
        )
        _refuse_empty(self.name, "query", (q.query_id for q in self.queries if not q.text.strip()))

    def _check_passages(self) -> None:
        if not self.passages:
            raise DataError(f"{self.name}: no passages")
        if isinstance(self.passages, StoredPassages):
            return
        counts = Counter(passage.doc_id for passage in self.passages)
        _refuse_repeats(self.name, "passage", (i for i, n in counts.items() if n > 1))
        if BLANK_PASSAGES not in self.options:
            blank = (p.doc_id for p in self.passages if not p.text.strip())
            _refuse_empty(self.name, "passage", blank)

    def _check_qrels(self) -> None:
        queries = {(query.lang, query.query_id) for query in self.queries}
        missing = find_missing_ids(self.passages, (qrel.doc_id for qrel in self.qrels))
        for qrel in self.qrels:
            if (qrel.query_lang, qrel.query_id) not in queries:
                raise DataError(
                    f"{self.name}: a judgment names query {qrel.query_id!r} ({qrel.query_lang}), "
                    "which is not among the queries"
                )
            if qrel.doc_id in missing:
                raise DataError(
                    f"{self.name}: query {qrel.query_id!r} ({qrel.query_lang}) has a judgment for "
                    f"passage {qrel.doc_id!r}, which is not in the corpus"
                )
        counts = Counter((q.query_lang, q.query_id, q.doc_id) for q in self.qrels)
        _refuse_repeats(
            self.name,
            "judgment",
            (
                f"{query_id} ({lang}) {doc_id}"
                for (lang, query_id, doc_id), n in counts.items()
                if n > 1
            ),
        )
        if not any(qrel.relevance > 0 for qrel in self.qrels):
            raise DataError(f"{self.name}: no judgment has a relevance above 0")


def _refuse_repeats(name: str, what: str, repeated: Iterable[str]) -> None:
    if found := sorted(repeated):
        raise DataError(f"{name}: {what} id {found[0]!r} occurs more than once ({_count(found)})")


def _refuse_empty(name: str, what: str, empty: Iterable[str]) -> None:
    if found := sorted(empty):
        raise DataError(f"{name}: {what} {found[0]!r} has an empty text ({_count(found)})")


def _count(found: Sequence[str]) -> str:
    return "1 such id" if len(found) == 1 else f"{len(found)} such ids"
