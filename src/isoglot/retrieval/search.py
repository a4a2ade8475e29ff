"""A query is encoded once, every language is searched, and a policy merges what is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from isoglot.config.search import SearchConfig
from isoglot.encoding.shards import Origin
from isoglot.errors import ConfigError, DataError, did_you_mean
from isoglot.evaluation.vectors import prepare_vectors
from isoglot.machine import cores
from isoglot.retrieval.calibration import Moments
from isoglot.retrieval.engine import Candidates, Engine
from isoglot.retrieval.fusion import DEPTH, Heads, fuse, unite
from isoglot.retrieval.kinds import compute_in_one_thread
from isoglot.retrieval.policies import Merged, Pool, merge

__all__ = ["Hit", "QueryEncoder", "Searcher"]

_QUERIES_AT_A_TIME = 256
_MOMENTS_KEPT = 8
"""Of sets of languages: at 768 numbers 2.4 MB each."""
_T = TypeVar("_T")


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
        self._state = _State(engine)
        self._encoder = encoder
        self._reopen = reopen
        self._threads = ThreadPoolExecutor(cores(), "search", compute_in_one_thread)

    @property
    def origin(self) -> Origin:
        """What made the vectors."""
        return self._state.engine.origin

    @property
    def sizes(self) -> Mapping[str, int]:
        """Passages by language, languages sorted."""
        return self._state.engine.sizes

    @property
    def has_words(self) -> bool:
        """Whether rankings can be fused with BM25."""
        return self._state.engine.has_words

    def refresh(self) -> bool:
        """Go on with the latest state of the index; say whether there was a newer one.

        Searches that have begun end with the state they began with.
        """
        newer = self._reopen(self._state.engine) if self._reopen is not None else None
        if newer is not None:
            self._state = _State(newer)
        return newer is not None

    def search(self, queries: Sequence[str], config: SearchConfig) -> list[list[Hit]]:
        """Return the passages that answer each query, best first.

        Args:
            queries: Any number.
            config: How many passages, in which languages, by which policy.

        Raises:
            ConfigError: If the index has no passages in a language asked for, or no words.
            DataError: If a query is empty.
        """
        state = self._state
        langs = _choose_languages(state.engine, config)
        for number, query in enumerate(queries):
            if not query.strip():
                raise DataError(f"query {number + 1} is empty; write what you look for")
        answers: list[list[Hit]] = []
        for start in range(0, len(queries), _QUERIES_AT_A_TIME):
            part = queries[start : start + _QUERIES_AT_A_TIME]
            answers += self._answer(state, langs, part, config)
        return answers

    def _answer(
        self, state: _State, langs: tuple[str, ...], queries: Sequence[str], config: SearchConfig
    ) -> list[list[Hit]]:
        engine = state.engine
        vectors = prepare_vectors(
            self._encoder.encode(queries, "query"),
            queries,
            what="query",
            similarity=engine.origin.similarity,
        )
        background = state.moments(langs).background(vectors)
        if config.words:
            heads = self._each(langs, partial(_find_heads, engine, queries, vectors, config.k))
            fused = fuse(heads, background, config.k)
            found = [
                _Found(lang, one.candidates, one.similarities)
                for lang, one in zip(langs, fused, strict=True)
            ]
        else:
            found = self._each(langs, partial(_find, engine, vectors, config.k))
        pools = [Pool(one.lang, one.candidates.scores) for one in found]
        return _collect(engine, found, merge(pools, background, config))

    def _each(self, langs: Sequence[str], find: Callable[[str], _T]) -> list[_T]:
        """Search languages side by side; a single one has all cores for its queries."""
        if len(langs) == 1:
            return [find(langs[0])]
        return list(self._threads.map(find, langs))


class _State:
    """An engine, and what was learned from it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.moments = lru_cache(_MOMENTS_KEPT)(self._learn)
        """Moments of the samples of some languages."""

    def _learn(self, langs: tuple[str, ...]) -> Moments:
        return Moments.of([self.engine.sample(lang) for lang in langs])


class _Found(NamedTuple):
    """What one language has for some queries."""

    lang: str
    candidates: Candidates
    """(queries, found); what the policy goes by."""
    similarities: NDArray[np.float32]
    """(queries, found)."""


def _choose_languages(engine: Engine, config: SearchConfig) -> tuple[str, ...]:
    sizes = engine.sizes
    langs = tuple(config.languages or sizes)
    if not sizes:
        raise DataError("the index has no passages; add some with isoglot index --add")
    for lang in langs:
        if lang not in sizes:
            raise ConfigError(
                f"no passages in {lang!r}{did_you_mean(lang, sizes)}; the index has "
                f"{', '.join(sizes)}"
            )
    return langs


def _find(engine: Engine, vectors: NDArray[np.float32], k: int, lang: str) -> _Found:
    """Find the best passages of a language by similarity."""
    candidates = engine.search(lang, vectors, k)
    return _Found(lang, candidates, candidates.scores)


def _find_heads(
    engine: Engine, queries: Sequence[str], vectors: NDArray[np.float32], k: int, lang: str
) -> Heads:
    """Find the best passages of a language by similarity and by BM25."""
    depth = max(k, DEPTH)
    words = engine.search_words(lang, queries, depth)
    similarities = engine.score(lang, vectors, words.keys)
    return unite(engine.search(lang, vectors, depth), words, similarities)


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
