"""A query is encoded once, every language is searched, and a policy merges what is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from isoglot.config.search import SearchConfig
from isoglot.encoding.shards import Origin
from isoglot.errors import ConfigError, DataError, did_you_mean
from isoglot.evaluation.vectors import prepare_vectors
from isoglot.retrieval.calibration import read_background
from isoglot.retrieval.engine import Candidates, Engine
from isoglot.retrieval.fusion import DEPTH, fuse, unite
from isoglot.retrieval.policies import Merged, Pool, merge

__all__ = ["Hit", "QueryEncoder", "Searcher"]

_QUERIES_AT_A_TIME = 256


class Hit(NamedTuple):
    """One passage of an answer."""

    doc_id: str
    lang: str
    text: str
    score: float
    """What the policy ranked by."""
    similarity: float
    """Of the passage's vector to the query's."""


class QueryEncoder(Protocol):
    """What a search needs of an encoder."""

    def encode(
        self, texts: Sequence[str], role: Literal["query", "passage"]
    ) -> NDArray[np.float32]:
        """Return (texts, dim) vectors."""
        ...


class Searcher:
    """Answers queries from an index; many threads may use it at once.

    Args:
        engine: The index.
        encoder: The one that made its vectors.
        reopen: Returns a newer engine if the index has changed, else None; see `refresh`.
    """

    def __init__(
        self,
        engine: Engine,
        encoder: QueryEncoder,
        *,
        reopen: Callable[[Engine], Engine | None] | None = None,
    ) -> None:
        self._engine = engine
        self._encoder = encoder
        self._reopen = reopen

    @property
    def origin(self) -> Origin:
        """What made the vectors."""
        return self._engine.origin

    @property
    def sizes(self) -> Mapping[str, int]:
        """Passages by language, languages sorted."""
        return self._engine.sizes

    @property
    def has_words(self) -> bool:
        """Whether rankings can be fused with BM25."""
        return self._engine.has_words

    def refresh(self) -> bool:
        """Go on with the latest state of the index; say whether there was a newer one.

        Searches that have begun end with the state they began with.
        """
        newer = self._reopen(self._engine) if self._reopen is not None else None
        if newer is not None:
            self._engine = newer
        return newer is not None

    def search(
        self,
        queries: Sequence[str],
        config: SearchConfig,
        query_langs: Sequence[str | None] | None = None,
    ) -> list[list[Hit]]:
        """Return the passages that answer each query, best first.

        Args:
            queries: Any number.
            config: How many passages, in which languages, by which policy.
            query_langs: Languages of the queries where they are known.

        Raises:
            ConfigError: If the index has no passages in a language asked for, or no words.
            DataError: If a query is empty.
        """
        engine = self._engine
        langs = _choose_languages(engine, config)
        for number, query in enumerate(queries):
            if not query.strip():
                raise DataError(f"query {number + 1} is empty; write what you look for")
        answers: list[list[Hit]] = []
        for start in range(0, len(queries), _QUERIES_AT_A_TIME):
            part = slice(start, start + _QUERIES_AT_A_TIME)
            known = None if query_langs is None else query_langs[part]
            answers += self._answer(engine, langs, queries[part], config, known)
        return answers

    def _answer(
        self,
        engine: Engine,
        langs: Sequence[str],
        queries: Sequence[str],
        config: SearchConfig,
        query_langs: Sequence[str | None] | None,
    ) -> list[list[Hit]]:
        vectors = prepare_vectors(
            self._encoder.encode(queries, "query"),
            queries,
            what="query",
            similarity=engine.origin.similarity,
        )
        if config.words:
            found = _find_with_words(engine, langs, queries, vectors, config.k)
        else:
            calibrated = config.policy != "score"
            found = _find(engine, langs, vectors, config.k, calibrated=calibrated)
        sizes = engine.sizes
        pools = [
            Pool(one.lang, one.candidates.scores, one.background, sizes.get(one.lang, 0))
            for one in found
        ]
        return _collect(engine, found, merge(pools, config, query_langs))


class _Found(NamedTuple):
    """What one language has for some queries."""

    lang: str
    candidates: Candidates
    """(queries, found); what the policy goes by."""
    similarities: NDArray[np.float32]
    """(queries, found)."""
    background: NDArray[np.float32]
    """(queries, sample): similarities with passages drawn at random; none if nobody asks."""


def _choose_languages(engine: Engine, config: SearchConfig) -> list[str]:
    sizes = engine.sizes
    langs = list(config.languages or sizes)
    if not sizes:
        raise DataError("the index has no passages; add some with isoglot index --add")
    for lang in langs:
        if lang not in sizes:
            raise ConfigError(
                f"no passages in {lang!r}{did_you_mean(lang, sizes)}; the index has "
                f"{', '.join(sizes)}"
            )
    return langs


def _find(
    engine: Engine,
    langs: Sequence[str],
    vectors: NDArray[np.float32],
    k: int,
    *,
    calibrated: bool = True,
) -> list[_Found]:
    """Find the best passages of each language by similarity."""
    found = []
    nothing = np.empty((len(vectors), 0), dtype=np.float32)
    for lang in langs:
        candidates = engine.search(lang, vectors, k)
        background = vectors @ engine.sample(lang).T if calibrated else nothing
        found.append(_Found(lang, candidates, candidates.scores, background))
    return found


def _find_with_words(
    engine: Engine,
    langs: Sequence[str],
    queries: Sequence[str],
    vectors: NDArray[np.float32],
    k: int,
) -> list[_Found]:
    """Find the best passages of each language by similarity and BM25."""
    dense = _find(engine, langs, vectors, max(k, DEPTH))
    heads = []
    for lang, own in zip(langs, dense, strict=True):
        words = engine.search_words(lang, queries, max(k, DEPTH))
        heads.append(unite(own.candidates, words, engine.score(lang, vectors, words.keys)))
    fused = fuse(heads, read_background([own.background for own in dense]), k)
    return [
        _Found(own.lang, one.candidates, one.similarities, own.background)
        for own, one in zip(dense, fused, strict=True)
    ]


def _collect(engine: Engine, found: Sequence[_Found], merged: Merged) -> list[list[Hit]]:
    """Fetch the passages that were chosen, a language at a time, and put them in their places."""
    hits: list[dict[int, Hit]] = [{} for _ in merged.pools]
    for number, own in enumerate(found):
        rows, ranks = np.nonzero(merged.pools == number)
        places = merged.places[rows, ranks]
        passages = engine.passages(own.lang, own.candidates.keys[rows, places])
        scores = merged.scores[rows, ranks].tolist()
        similarities = own.similarities[rows, places].tolist()
        answers = zip(rows.tolist(), ranks.tolist(), passages, scores, similarities, strict=True)
        for row, rank, passage, score, similarity in answers:
            hits[row][rank] = Hit(passage.doc_id, own.lang, passage.text, score, similarity)
    return [[own[rank] for rank in sorted(own)] for own in hits]
