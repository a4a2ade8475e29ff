"""A collection as an MTEB retrieval task with one subset per pool.

The pool of all languages is what MTEB's multilingual retrieval tasks lack. Nothing is read from the
hub.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from isoglot.data.collection import Collection
from isoglot.evaluation.settings import SETTINGS
from isoglot.integrations.mteb.facts import facts
from isoglot.integrations.mteb.subsets import ALL, langscript, setting_of, split_subset

if TYPE_CHECKING:
    from isoglot.records import Passage

__all__ = ["MixedPoolTask", "make_task"]

_SPLIT = "test"

Judgments = dict[str, dict[str, int]]
"""Relevance by query id and doc id."""


class MixedPoolTask(AbsTaskRetrieval):
    """Retrieval in monolingual, cross-lingual and multilingual pools.

    A query without a relevant passage in a pool is left out of its subset, never scored 0. Scores
    are MTEB's own; it ranks the first 1,000 passages, so ``map_at_1000`` can be below ``AP`` in a
    larger pool.

    Made by ``make_task``: MTEB reads the metadata of a task from its class, so that every
    collection is a class of its own.
    """

    data_loaded: bool = False

    def __init__(self, collection: Collection, **kwargs: Any) -> None:  # noqa: ANN401
        self.collection = collection
        super().__init__(**kwargs)

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        """Build the subsets; those that share a pool share its passages."""
        del num_proc, kwargs
        if self.data_loaded:
            return
        passages = {
            lang: _dataset((p.doc_id, p.text) for p in pool)
            for lang, pool in _pools(self.collection).items()
        }
        queries = _by_lang(self.collection.queries)
        judgments = _judgments_by_subset(self.collection)
        self.dataset = {}
        for subset in self.hf_subsets:
            query_lang, passage_lang = split_subset(subset)
            measured = [q for q in queries[query_lang] if q.query_id in judgments[subset]]
            self.dataset[subset] = {
                _SPLIT: {
                    "queries": _dataset((q.query_id, q.text) for q in measured),
                    "corpus": passages[passage_lang],
                    "relevant_docs": judgments[subset],
                    "top_ranked": None,
                }
            }
        self.data_loaded = True


def make_task(collection: Collection) -> MixedPoolTask:
    """Return the task of a collection."""
    metadata = _metadata(collection, _judgments_by_subset(collection))
    task: MixedPoolTask = type("MixedPoolTask", (MixedPoolTask,), {"metadata": metadata})(
        collection
    )
    return task


def _metadata(collection: Collection, subsets: Iterable[str]) -> TaskMetadata:
    return TaskMetadata(
        **facts(collection.name),
        # MTEB tells results on changed data apart by the revision.
        dataset={"path": f"isoglot/{collection.name}", "revision": _hash(collection)},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[_SPLIT],
        eval_langs={subset: _langscripts(subset, collection) for subset in subsets},
        main_score="ndcg_at_10",
        task_subtypes=["Question answering"],
        dialect=[],
    )


def _langscripts(subset: str, collection: Collection) -> list[str]:
    """Return the query language and then the passage languages."""
    query_lang, passage_lang = split_subset(subset)
    passage_langs = collection.passage_langs if passage_lang == ALL else (passage_lang,)
    return [langscript(lang) for lang in (query_lang, *passage_langs)]


def _judgments_by_subset(collection: Collection) -> dict[str, Judgments]:
    """Return the judgments of every pool that has a relevant passage, by setting as in isoglot."""
    langs = {passage.doc_id: passage.lang for passage in collection.passages}
    found: dict[str, Judgments] = defaultdict(lambda: defaultdict(dict))
    for qrel in collection.qrels:
        for pool in (langs[qrel.doc_id], ALL):
            found[f"{qrel.query_lang}-{pool}"][qrel.query_id][qrel.doc_id] = qrel.relevance
    measured = {
        subset: {query: docs for query, docs in judgments.items() if max(docs.values()) > 0}
        for subset, judgments in found.items()
    }
    return {subset: measured[subset] for subset in sorted(measured, key=_place) if measured[subset]}


def _place(subset: str) -> tuple[int, str]:
    """Order as everywhere in isoglot: by setting, then by languages."""
    return SETTINGS.index(setting_of(subset)), subset


def _pools(collection: Collection) -> dict[str, list[Passage]]:
    return {**_by_lang(collection.passages), ALL: list(collection.passages)}


def _by_lang(texts: Iterable[Any]) -> dict[str, list[Any]]:
    by_lang: dict[str, list[Any]] = defaultdict(list)
    for text in texts:
        by_lang[text.lang].append(text)
    return by_lang


def _dataset(texts: Iterable[tuple[str, str]]) -> Any:  # noqa: ANN401 - datasets has no types
    return Dataset.from_list([{"id": text_id, "text": text} for text_id, text in texts])


def _hash(collection: Collection) -> str:
    digest = hashlib.sha256()
    rows: tuple[Iterable[tuple[Any, ...]], ...] = (
        collection.queries,
        collection.passages,
        collection.qrels,
    )
    for part in rows:
        for row in part:
            digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()[:40]
