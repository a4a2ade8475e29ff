"""Which FAISS index holds the vectors of a language: exact, a graph, or compressed lists.

The choice goes by the number of passages. Up to `FLAT_ROWS` comparing with every vector is exact
and takes milliseconds; a graph (HNSW, arXiv 1603.09320) then answers in less than one, but wants
all vectors in memory; from `HNSW_ROWS` on, lists of product-quantised vectors (IVF-PQ, Jégou et
al. 2011) take a byte for four dimensions, and the best are scored again with the vectors on disk.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.config.index import IndexKind
from isoglot.errors import ConfigError

__all__ = [
    "FLAT_ROWS",
    "HNSW_ROWS",
    "KINDS",
    "Kind",
    "breadths",
    "choose_kind",
    "comparing_all_is_cheaper",
    "compute_in_one_thread",
    "explain_kind",
    "import_faiss",
    "new_index",
    "search_all",
    "search_parameters",
]

Kind = IndexKind
KINDS: tuple[Kind, ...] = ("flat", "hnsw", "ivf-pq")

FLAT_ROWS = 50_000
HNSW_ROWS = 2_000_000

_LINKS = 32
"""Neighbours of a vector in the graph."""
_BUILD_BREADTH = 120
_BREADTHS = (64, 128, 256, 512, 1024)
"""Candidates that a walk through the graph keeps."""
_LEAST_PQ_ROWS = 10_000
"""Fewer do not train 256 centroids of each part of the vector well."""
_DIMS_PER_BYTE = 4
_ROWS_PER_LIST = 39
"""Training vectors per list below which FAISS warns."""
_SHARES_OF_LISTS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
_LEAST_LISTS = 16


def choose_kind(rows: int, smallest: int, wanted: Kind | None = None) -> Kind:
    """Return the kind of index for so many passages of a language.

    Args:
        rows: Passages of the language.
        smallest: Passages of the smallest segment they are cut into.
        wanted: Kind to take whatever the number.

    Raises:
        ConfigError: If too few passages are to be compressed.
    """
    trainable = smallest >= _LEAST_PQ_ROWS
    if wanted == "ivf-pq" and not trainable:
        raise ConfigError(
            f"an ivf-pq index of {smallest:,} passages cannot be trained; it needs "
            f"{_LEAST_PQ_ROWS:,} in every segment; leave the kind out, it then goes by the "
            "passages of each language"
        )
    if wanted is not None:
        return wanted
    if rows <= FLAT_ROWS:
        return "flat"
    return "ivf-pq" if rows > HNSW_ROWS and trainable else "hnsw"


def explain_kind(kind: Kind) -> str:
    """Say in a few words what a kind is and why it was chosen."""
    return {
        "flat": f"exact, quick enough up to {FLAT_ROWS:,}",
        "hnsw": f"graph in memory, for {FLAT_ROWS:,} to {HNSW_ROWS:,}",
        "ivf-pq": f"compressed lists, vectors on disk, above {HNSW_ROWS:,}",
    }[kind]


def new_index(kind: Kind, dim: int, rows: int, dtype: str) -> Any:  # noqa: ANN401 - faiss has no types
    """Return an empty FAISS index for inner products.

    Args:
        kind: What to make.
        dim: Numbers of a vector.
        rows: Vectors it will hold.
        dtype: ``float32`` or ``float16``: how flat and graph keep them.
    """
    faiss = import_faiss()
    half = "_SQfp16" if dtype == "float16" else ""
    if kind == "flat":
        name = "SQfp16" if half else "Flat"
    elif kind == "hnsw":
        name = f"HNSW{_LINKS}{half}"
    else:
        name = f"IVF{_lists(rows)},PQ{_parts(dim)}x8"
    index = faiss.index_factory(dim, name, faiss.METRIC_INNER_PRODUCT)
    if kind == "hnsw":
        index.hnsw.efConstruction = _BUILD_BREADTH
    return index


def breadths(kind: Kind, index: Any) -> tuple[int, ...]:  # noqa: ANN401 - faiss has no types
    """Return how wide an index can be searched, narrowest first; see `search_parameters`."""
    if kind == "hnsw":
        return _BREADTHS
    if kind == "ivf-pq":
        lists = (max(_LEAST_LISTS, math.ceil(index.nlist * share)) for share in _SHARES_OF_LISTS)
        return tuple(dict.fromkeys(min(index.nlist, count) for count in lists))
    return (0,)


def search_parameters(kind: Kind, breadth: int, k: int, live: float, selector: Any) -> Any:  # noqa: ANN401
    """Return how to search.

    Args:
        kind: Of the index.
        breadth: Candidates of a graph, or lists that are looked at.
        k: Passages per query.
        live: Share of the rows that count: a graph is searched the wider the more are deleted, for
            they take places among the candidates.
        selector: ``faiss.IDSelector`` of the rows that count; None if all do.
    """
    faiss = import_faiss()
    if kind == "hnsw":
        return faiss.SearchParametersHNSW(efSearch=_walk(breadth, k, live), sel=selector)
    if kind == "ivf-pq":
        return faiss.SearchParametersIVF(nprobe=breadth, sel=selector)
    return faiss.SearchParameters(sel=selector)


def comparing_all_is_cheaper(kind: Kind, breadth: int, k: int, rows: int, live_rows: int) -> bool:
    """Say whether so much of a graph is deleted that comparing with the rest costs less.

    A walk compares with about as many vectors as its candidates have neighbours.
    """
    if kind != "hnsw" or live_rows == rows:
        return False
    return live_rows <= _LINKS * _walk(breadth, k, live_rows / rows)


def search_all(
    kind: Kind,
    index: Any,  # noqa: ANN401
    queries: NDArray[np.float32],
    k: int,
    selector: Any,  # noqa: ANN401
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Compare queries with all vectors, as the index keeps them: scores and rows, (queries, k).

    For what a graph or some lists give too few passages, or takes too long.
    """
    faiss = import_faiss()
    params = faiss.SearchParameters(sel=selector)
    if kind == "hnsw":
        index = faiss.downcast_index(index.storage)
    elif kind == "ivf-pq":
        params = faiss.SearchParametersIVF(nprobe=index.nlist, sel=selector)
    scores, rows = index.search(queries, k, params=params)
    return scores, rows


def compute_in_one_thread() -> None:
    """Keep FAISS in the calling thread: several that search side by side have the cores already.

    Threads of its own in each of them would wait for each other, at many times the cost.
    """
    with contextlib.suppress(ConfigError):  # Milvus is searched without it
        import_faiss().omp_set_num_threads(1)


def import_faiss() -> Any:  # noqa: ANN401 - faiss has no types
    """Return faiss.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(
            "an index on disk needs faiss, which is not installed; pip install 'isoglot[search]'"
        ) from error
    return faiss


def _walk(breadth: int, k: int, live: float) -> int:
    return math.ceil(max(breadth, 2 * k) / live)


def _lists(rows: int) -> int:
    return max(1, min(int(4 * math.sqrt(rows)), rows // _ROWS_PER_LIST))


def _parts(dim: int) -> int:
    """Return into how many parts a vector is cut: a divisor of ``dim``, a byte each."""
    most = max(1, dim // _DIMS_PER_BYTE)
    return next(parts for parts in range(most, 0, -1) if dim % parts == 0)
