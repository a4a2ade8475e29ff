"""What the three kinds of index cost and find: ``python -m benchmarks.indexes --embeddings DIR``.

``DIR`` is a folder of embeddings, such as ``DIR/embeddings`` of ``benchmarks.serving --work DIR``.
The vectors of all its languages are taken for one language, in random order. Building time,
size on disk, recall@10 against exact search, and milliseconds per query when queries come one by
one; queries are passages that are not in the index, of which each index returns the nearest.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.config.index import IndexKind
from isoglot.records import Passage
from isoglot.retrieval.building import Plan, build_segment, measure_recall, search_exactly
from isoglot.retrieval.manifest import SEGMENTS
from isoglot.retrieval.segments import Segment
from isoglot.retrieval.sources import LanguageSource, open_sources

CASES: tuple[tuple[IndexKind, int], ...] = (
    ("flat", 50_000),
    ("hnsw", 50_000),
    ("ivf-pq", 50_000),
    ("flat", 250_000),
    ("hnsw", 250_000),
    ("ivf-pq", 250_000),
    ("ivf-pq", 1_000_000),
)
QUERIES = 200


class Pooled:
    """Vectors of all languages as those of one; texts are only ids."""

    lang = "en"

    def __init__(self, sources: list[LanguageSource], rows: int) -> None:
        self._sources = sources
        sizes = np.array([source.rows for source in sources])
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        shuffled = np.random.default_rng(0).permutation(self._starts[-1])
        self._order = shuffled[: min(rows, len(shuffled) - QUERIES)]
        self.queries = self._read(np.sort(shuffled[-QUERIES:]))

    @property
    def rows(self) -> int:
        """How many passages there are."""
        return len(self._order)

    def key(self, start: int, stop: int) -> str:
        """Return a name."""
        return f"{len(self._order)} {start} {stop}"

    def passages(self, start: int, stop: int) -> Iterator[Passage]:
        """Yield passages that are an id only."""
        for row in range(start, stop):
            yield Passage(str(row), self.lang, str(row))

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows."""
        return self._read(self._order[rows])

    def _read(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        order = np.argsort(places)
        numbers = np.searchsorted(self._starts, places[order], side="right") - 1
        parts = [
            self._sources[number].vectors(places[order][numbers == number] - self._starts[number])
            for number in np.unique(numbers)
        ]
        found = np.empty((len(places), parts[0].shape[1]), dtype=np.float32)
        found[order] = np.concatenate(parts)
        return found


def measure(
    root: Path, sources: list[LanguageSource], kind: IndexKind, rows: int
) -> dict[str, Any]:
    """Build one index and search it."""
    pooled = Pooled(sources, rows)
    plan = Plan(pooled, 0, pooled.rows, kind, "float32", words=False, generation=1)
    began = time.monotonic()
    build_segment(root, plan)
    seconds = time.monotonic() - began
    folder = root / SEGMENTS / plan.name
    segment = Segment.open(folder)
    exact = search_exactly(segment, pooled.queries, 10)  # and pages come into memory
    times = []
    for query in pooled.queries:
        asked = time.perf_counter()
        segment.search(query[None], 10)
        times.append(time.perf_counter() - asked)
    files = [path.stat().st_size for path in folder.glob("vectors.*")]
    return {
        "kind": kind,
        "rows": pooled.rows,
        "build_s": round(seconds, 1),
        "bytes_per_passage": round(sum(files) / pooled.rows),
        "recall": round(measure_recall(segment, pooled.queries, exact), 4),
        "breadth": segment.breadth,
        "query_ms": round(1000 * median(times), 2),
    }


def main() -> None:
    """Print a table and, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embeddings", type=Path, required=True)
    parser.add_argument("--most-rows", type=int, default=1_000_000)
    options = parser.parse_args()
    _, sources = open_sources(options.embeddings)
    rows = []
    with tempfile.TemporaryDirectory(dir=options.embeddings.parent) as name:
        for kind, size in CASES:
            if size <= options.most_rows:
                rows.append(measure(Path(name), sources, kind, size))
                print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    print(json.dumps({"cores": os.cpu_count(), "indexes": rows}))


if __name__ == "__main__":
    main()
