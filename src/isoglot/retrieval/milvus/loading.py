"""Fills a collection from embeddings, resumed where it stopped.

Passages are replaced by id, so that what was sent twice is there once. How far each language has
come is in the collection's record: a killed load goes on from there, from any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from isoglot.errors import ArtifactError
from isoglot.progress import progress_bar
from isoglot.retrieval.milvus.collection import Loading, choose_index
from isoglot.retrieval.milvus.engine import MilvusEngine
from isoglot.retrieval.sources import SegmentSource

__all__ = ["load_embeddings"]

_STEP_ROWS = 4096
_STEPS_PER_RECORD = 12
"""The record is a change of the collection's schema for Milvus: not to be written too often."""


def load_embeddings(
    engine: MilvusEngine,
    sources: Sequence[SegmentSource],
    report: Callable[[str], object],
    *,
    show_progress: bool = False,
) -> int:
    """Load passages and vectors; a passage with a known id takes its place.

    A collection is complete, and can be searched by others, once its first load has ended.

    Args:
        engine: See `MilvusEngine.create`.
        sources: One per language: see ``isoglot.retrieval.sources.open_sources``.
        report: Takes a line on the index and one per language.
        show_progress: Show rate and time left.

    Returns:
        How many passages were sent now.

    Raises:
        DataError: If a vector cannot be scored, or an id or text is longer than Milvus keeps.
        ArtifactError: If Milvus does not take them, or has fewer than it was given.
    """
    first = not engine.record.complete
    total = sum(source.rows for source in sources)
    report(f"{engine.where}: {_describe_index(engine, total)}")
    sent = 0
    with progress_bar("loading", total, "passage", show=show_progress) as bar:
        for source in sources:
            done = _already_there(engine, source)
            if done:
                report(f"{source.lang}: {done:,} of {source.rows:,} are there from before")
                bar.update(done)
            _load_language(engine, source, done, bar.update)
            sent += source.rows - done
    engine.flush()
    if first:
        _check_counts(engine, sources)
    engine.write_record(replace(engine.record, complete=True, loading={}))
    for source in sources:
        report(f"{source.lang}: {engine.sizes.get(source.lang, 0):,} passages")
    return sent


def _describe_index(engine: MilvusEngine, rows: int) -> str:
    choice = choose_index(rows, engine.origin.dim, lite=engine.is_lite)
    return f"index {engine.index}" + (f" ({choice.why})" if choice.kind == engine.index else "")


def _already_there(engine: MilvusEngine, source: SegmentSource) -> int:
    known = engine.record.loading.get(source.lang)
    return known.rows if known is not None and known.key == source.key(0, source.rows) else 0


def _load_language(
    engine: MilvusEngine, source: SegmentSource, done: int, advance: Callable[[int], object]
) -> None:
    key = source.key(0, source.rows)
    for number, start in enumerate(range(done, source.rows, _STEP_ROWS), 1):
        stop = min(start + _STEP_ROWS, source.rows)
        passages = list(source.passages(start, stop))
        engine.add(source.lang, passages, source.vectors(np.arange(start, stop)))
        if number % _STEPS_PER_RECORD == 0 or stop == source.rows:
            engine.write_record(engine.record.with_loading(source.lang, Loading(key, stop)))
        advance(stop - start)


def _check_counts(engine: MilvusEngine, sources: Sequence[SegmentSource]) -> None:
    """Refuse to call a collection complete that has lost passages; they are sent again then."""
    for source in sources:
        found = engine.sizes.get(source.lang, 0)
        if found < source.rows:
            kept = {lang: n for lang, n in engine.record.loading.items() if lang != source.lang}
            engine.write_record(replace(engine.record, loading=kept))
            raise ArtifactError(
                f"{engine.where}: has {found:,} of {source.rows:,} passages in {source.lang!r}; "
                "run the same isoglot index again, it loads this language anew"
            )
