"""Queries, vectors and candidates for the benchmarks of policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.config.schema import ModelConfig
from isoglot.data.collection import Collection
from isoglot.data.miracl import split_of
from isoglot.encoding.encode import encode_texts
from isoglot.evaluation.vectors import prepare_vectors
from isoglot.lexical.bm25 import Bm25Block, Bm25Scorer
from isoglot.models.loading import load_encoder
from isoglot.records import Query
from isoglot.retrieval.calibration import read_background
from isoglot.retrieval.engine import SAMPLE, Candidates
from isoglot.retrieval.fusion import DEPTH, WEIGHT, Heads, fuse, unite
from isoglot.retrieval.policies import Pool

HEAD = 10
"""Passages of an answer."""
_QUERIES_AT_A_TIME = 128


def halves(collection: Collection) -> tuple[Collection, Collection]:
    """Return the queries that constants are chosen on, and those that are reported."""
    if collection.name == "xquad-r":
        ids = list(dict.fromkeys(query.query_id for query in collection.queries))
        later = set(ids[len(ids) // 2 :])
        judged = list(collection.queries)
        reported = [query.query_id in later for query in judged]
    else:
        keys = {(q.query_lang, q.query_id) for q in collection.qrels if q.relevance > 0}
        judged = [
            query
            for query in collection.queries
            if split_of(collection, query.lang) == "train" and (query.lang, query.query_id) in keys
        ]
        reported = [int(query.query_id.split("#")[0][-1]) % 2 == 1 for query in judged]
    chosen, rest = (
        [
            query
            for query, is_reported in zip(judged, reported, strict=True)
            if is_reported == wanted
        ]
        for wanted in (False, True)
    )
    return take(collection, chosen), take(collection, rest)


def take(collection: Collection, queries: Sequence[Query]) -> Collection:
    """Return the collection with some of its queries."""
    keys = {(query.lang, query.query_id) for query in queries}
    qrels = [qrel for qrel in collection.qrels if (qrel.query_lang, qrel.query_id) in keys]
    return replace(collection, queries=queries, qrels=qrels)


def encode(model: str, collection: Collection) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vectors of queries and passages, of length 1."""
    encoder = load_encoder(ModelConfig(name=model))
    queries = encode_texts(encoder, [query.text for query in collection.queries], "query")
    passages = encode_texts(encoder, [p.text for p in collection.passages], "passage")
    names = [query.query_id for query in collection.queries]
    ids = [passage.doc_id for passage in collection.passages]
    return (
        prepare_vectors(queries, names, what="query", similarity="cosine"),
        prepare_vectors(passages, ids, what="passage", similarity="cosine"),
    )


class Block(NamedTuple):
    """What every language has for some queries."""

    pools: list[Pool]
    rows: list[NDArray[np.int64]]
    """(queries, found): of the collection."""
    samples: list[NDArray[np.float32]]
    """(queries, sampled passages): scores."""


class LanguagePools:
    """The candidates of every language for the queries of a collection, block by block."""

    def __init__(
        self,
        collection: Collection,
        queries: NDArray[np.float32],
        passages: NDArray[np.float32],
        depth: int | None,
    ) -> None:
        rng = np.random.default_rng(0)
        langs = np.array([passage.lang for passage in collection.passages])
        self._queries = queries
        self._vectors = passages
        self._words: Bm25Block | None = None
        self.weight = WEIGHT
        """Of BM25, where it is fused."""
        self.rows = {lang: np.flatnonzero(langs == lang) for lang in collection.passage_langs}
        self.depth = depth or len(passages)
        self._samples = {
            lang: rng.choice(rows, min(SAMPLE, len(rows)), replace=False)
            for lang, rows in self.rows.items()
        }

    @property
    def fused(self) -> bool:
        """Whether similarities are fused with BM25."""
        return self._words is not None

    def read_words(self, collection: Collection) -> None:
        """Fuse with BM25 from now on."""
        self._words = Bm25Scorer.from_collection(collection).block(np.arange(len(self._vectors)))

    def blocks(self) -> Iterator[Block]:
        """Yield the pools of some queries at a time."""
        for start in range(0, len(self._queries), _QUERIES_AT_A_TIME):
            queries = self._queries[start : start + _QUERIES_AT_A_TIME]
            scores = queries @ self._vectors.T
            samples = [scores[:, rows] for rows in self._samples.values()]
            if self._words is None:
                found = [best(scores, rows, self.depth) for rows in self.rows.values()]
            else:
                words = np.empty_like(scores)
                self._words.scores(slice(start, start + len(queries)), words)
                heads = [self._heads(scores, words, rows) for rows in self.rows.values()]
                fused = fuse(heads, read_background(samples), HEAD, weight=self.weight)
                found = [one.candidates for one in fused]
            pools = [Pool(lang, one.scores) for lang, one in zip(self.rows, found, strict=True)]
            yield Block(pools, [one.keys for one in found], samples)

    def _heads(
        self,
        scores: NDArray[np.float32],
        words: NDArray[np.float32],
        rows: NDArray[np.int64],
    ) -> Heads:
        matched = best(np.where(words > 0, words, -np.inf), rows, DEPTH)
        similarities = np.take_along_axis(scores, matched.keys, axis=1)
        return unite(best(scores, rows, DEPTH), matched, similarities)


def best(scores: NDArray[np.float32], rows: NDArray[np.int64], depth: int) -> Candidates:
    """Return the best passages of some rows, as an engine does."""
    own = scores[:, rows]
    order = np.argsort(-own, axis=1, kind="stable")[:, :depth]
    return Candidates(rows[order], np.take_along_axis(own, order, axis=1))
