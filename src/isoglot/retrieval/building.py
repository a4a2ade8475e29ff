"""Builds a segment: passages of one language, their index, and what a search needs besides.

Everything is written into a folder with a temporary name, which gets its own when it is whole. A
segment that is there already, from a build that was killed, is taken as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.artifacts import read_json, write_json
from isoglot.data.corpus import store_passages
from isoglot.errors import ArtifactError
from isoglot.lexical.stored import build_words
from isoglot.progress import progress_bar
from isoglot.retrieval.engine import SAMPLE
from isoglot.retrieval.kinds import Kind, breadths, explain_kind, import_faiss, new_index
from isoglot.retrieval.manifest import SEGMENTS, Entry, sync_folder
from isoglot.retrieval.segments import (
    PASSAGES,
    RECORD,
    SAMPLE_FILE,
    VECTORS,
    VECTORS_INDEX,
    WORDS,
    Segment,
)
from isoglot.retrieval.sources import SegmentSource

__all__ = ["Plan", "build_segment", "measure_recall", "search_exactly"]

_ROWS_AT_A_TIME = 16_384
_TRAINING_ROWS = 262_144
_POINTS_PER_CENTROID = 64
_RECALL = 0.97
"""Of the exact best, that an approximate index is to find."""
_RECALL_QUERIES = 200
_RECALL_DEPTH = 10


@dataclass(frozen=True)
class Plan:
    """One segment to build: some rows of a source."""

    source: SegmentSource
    start: int
    stop: int
    kind: Kind
    dtype: str
    """How vectors are kept: ``float32`` or ``float16``."""
    words: bool
    generation: int
    """Of the index it is for."""

    @property
    def rows(self) -> int:
        """Passages of the segment."""
        return self.stop - self.start

    @property
    def name(self) -> str:
        """Folder of the segment: the same for the same content in the same generation."""
        made_of = f"{self.source.key(self.start, self.stop)} {self.kind} {self.dtype} {self.words}"
        digest = hashlib.sha256(made_of.encode()).hexdigest()
        return f"{self.source.lang}-{self.generation:06d}-{digest[:16]}"


def build_segment(root: Path, plan: Plan, *, show_progress: bool = False) -> tuple[Entry, str]:
    """Build a segment, unless it is there.

    Args:
        root: Folder of the index.
        plan: What to build.
        show_progress: Show a progress bar.

    Returns:
        The segment's entry in a manifest, and a line for the reader.

    Raises:
        ArtifactError: If the folder cannot be written.
        DataError: If a vector cannot be scored.
    """
    final = root / SEGMENTS / plan.name
    lang, began = plan.source.lang, time.monotonic()
    entry = Entry(plan.name, lang, plan.rows)
    if (final / RECORD).is_file():
        return entry, f"{lang}: {plan.rows:,} passages, built before"
    folder = final.with_name(f".{plan.name}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        _write(folder, plan, show_progress)
        # faiss does not say so if the last bytes found no room, but refuses to open the file.
        quality = _tune(Segment.open(folder))
        _sync(folder)
        folder.replace(final)
    except (OSError, RuntimeError) as error:  # faiss raises the latter when it cannot write
        reason = (str(error).splitlines() or ["no message"])[0]
        raise ArtifactError(f"{final}: cannot be written ({reason})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is left takes room, if the disk is full
    seconds = time.monotonic() - began
    kind = f"{plan.kind} ({explain_kind(plan.kind)})"
    return entry, f"{lang}: {plan.rows:,} passages, {kind}{quality}, {seconds:.1f} s"


def measure_recall(
    segment: Segment, queries: NDArray[np.float32], exact: NDArray[np.int64]
) -> float:
    """Return the share of the exact best that a segment finds among as many.

    Args:
        segment: To be searched.
        queries: (queries, dim).
        exact: (queries, depth): see `search_exactly`.
    """
    found, _ = segment.search(queries, exact.shape[1])
    hits = (found[:, :, None] == exact[:, None, :]).any(axis=2)
    return float(hits.sum() / exact.size)


def search_exactly(segment: Segment, queries: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Return the rows of the best passages, from a comparison with all vectors: (queries, depth).

    Args:
        segment: Of which no passage is deleted.
        queries: (queries, dim).
        depth: Passages per query; of a smaller segment, all.
    """
    faiss = import_faiss()
    depth = min(depth, segment.rows)
    best = np.full((len(queries), depth), -np.inf, dtype=np.float32)
    exact = np.zeros((len(queries), depth), dtype=np.int64)
    for rows in _row_blocks(0, segment.rows):
        scores, found = faiss.knn(
            queries, segment.vectors_of(rows), min(depth, len(rows)), faiss.METRIC_INNER_PRODUCT
        )
        scores = np.concatenate([best, scores], axis=1)
        found = np.concatenate([exact, found + rows[0]], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        best = np.take_along_axis(scores, order, axis=1)
        exact = np.take_along_axis(found, order, axis=1)
    return exact


def _tune(segment: Segment) -> str:
    """Record how wide the index must be searched to find `_RECALL` of the exact best; say so.

    Queries are vectors midway between two passages: a passage's own would lead to itself. Real
    questions find about as much (docs/search.md).
    """
    if segment.kind == "flat":
        return ""
    half = min(_RECALL_QUERIES, -(-len(segment.sample) // 2))
    queries = segment.sample[:half] + segment.sample[-half:]
    queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
    exact = search_exactly(segment, queries, _RECALL_DEPTH)
    recall = 0.0
    for breadth in breadths(segment.kind, segment.index):
        segment = replace(segment, breadth=breadth)
        recall = measure_recall(segment, queries, exact)
        if recall >= _RECALL:
            break
    record = read_json(segment.folder / RECORD)
    write_json(segment.folder / RECORD, {**record, "breadth": segment.breadth})
    return f", recall@{_RECALL_DEPTH} {recall:.3f} of exact search, breadth {segment.breadth}"


def _write(folder: Path, plan: Plan, show_progress: bool) -> None:
    source, start, stop = plan.source, plan.start, plan.stop
    store_passages(
        folder / PASSAGES,
        {},
        lambda: source.passages(start, stop),
        name=f"passages in {source.lang}",
    )
    draw = np.random.default_rng([plan.rows, 0])
    sample = np.sort(draw.choice(plan.rows, min(SAMPLE, plan.rows), replace=False))
    # Shuffled, so that any part of it is a sample too.
    vectors = source.vectors(start + sample)[draw.permutation(len(sample))]
    np.save(folder / SAMPLE_FILE, vectors, allow_pickle=False)
    _write_index(folder, plan, draw, show_progress)
    if plan.words:
        texts = (passage.text for passage in source.passages(start, stop))
        build_words(folder / WORDS, source.lang, texts)
    record = {"lang": source.lang, "kind": plan.kind, "rows": plan.rows, "dtype": plan.dtype}
    write_json(folder / RECORD, {**record, "breadth": 0})


def _write_index(folder: Path, plan: Plan, draw: np.random.Generator, show_progress: bool) -> None:
    faiss = import_faiss()
    dim = plan.source.vectors(np.array([plan.start])).shape[1]
    index = new_index(plan.kind, dim, plan.rows, plan.dtype)
    if plan.kind == "ivf-pq":
        _write_vectors(folder / VECTORS, plan, dim)
        _train(index, plan, draw)
    what = f"indexing {plan.source.lang}"
    with progress_bar(what, plan.rows, "passage", show=show_progress) as bar:
        for rows in _row_blocks(plan.start, plan.stop):
            index.add(plan.source.vectors(rows))
            bar.update(len(rows))
    faiss.write_index(index, str(folder / VECTORS_INDEX))


def _write_vectors(path: Path, plan: Plan, dim: int) -> None:
    """Keep the vectors with which the candidates of compressed lists are scored again.

    Block by block into a file: a memory map would kill the process where the disk is full.
    """
    dtype = np.dtype(np.float16)
    header = {"descr": dtype.str, "fortran_order": False, "shape": (plan.rows, dim)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rows in _row_blocks(plan.start, plan.stop):
            file.write(plan.source.vectors(rows).astype(dtype).tobytes())


def _train(index: Any, plan: Plan, draw: np.random.Generator) -> None:  # noqa: ANN401 - faiss has no types
    rows = np.arange(plan.start, plan.stop)
    if plan.rows > _TRAINING_ROWS:
        rows = np.sort(draw.choice(rows, _TRAINING_ROWS, replace=False))
    # It orders the centroids for a filter that is not used here, 2 s for each part of a vector.
    index.do_polysemous_training = False
    for clustering in (index.cp, index.pq.cp):
        clustering.max_points_per_centroid = _POINTS_PER_CENTROID
    index.train(plan.source.vectors(rows))


def _row_blocks(start: int, stop: int) -> Iterator[NDArray[np.int64]]:
    for first in range(start, stop, _ROWS_AT_A_TIME):
        yield np.arange(first, min(first + _ROWS_AT_A_TIME, stop))


def _sync(folder: Path) -> None:
    """Bring files and folders to disk before the folder gets its name."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
