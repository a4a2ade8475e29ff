"""The prepared folder: what a training reads of its data sets, made once and memory-mapped.

Every training reads its data through such a folder, small ones too: there is one way to go wrong
and not two, and the tokens of the texts have a place to stay. Its name is a hash of everything that
it is made from, so it is never stale, and it may be deleted at any time.

Workers turn pieces of the files into blocks, each a file of its own, so an interrupted preparation
goes on; the blocks are then merged and deleted. The same data give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import unicodedata
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoglot import __version__
from isoglot.artifacts import is_complete, mark_complete, read_json, write_json
from isoglot.config.sources import SourceConfig
from isoglot.data.download import cache_folder
from isoglot.data.parallel import ParallelTable
from isoglot.data.prepared.blocks import StoredBlock, save_block
from isoglot.data.prepared.files import (
    open_array,
    open_strings,
    sole_writer,
    write_array,
    write_strings,
)
from isoglot.data.prepared.merging import Merged
from isoglot.data.prepared.reading import Piece, check_whole, cut_source, make_block
from isoglot.data.prepared.sources import Identity, identify, refuse_changed
from isoglot.data.prepared.views import Cells, Names
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.machine import cores
from isoglot.progress import progress_bar

__all__ = ["open_table", "prepare_table"]

_FORMAT = 2
_MANIFEST = "manifest.json"
_SHOW_BYTES = 32 << 20
"""Smaller data sets are read without a progress bar."""


def prepare_table(
    sources: Sequence[SourceConfig],
    left_out: Mapping[str, Collection[str]] | None = None,
    *,
    jobs: int | None = None,
) -> ParallelTable:
    """Open the table of some data sets, preparing it if that was not done before.

    Several processes may ask at once: one prepares, the others wait.

    Args:
        sources: The data sets.
        left_out: Ids of groups to leave out, by data set.
        jobs: Worker processes; default: one per core that this process may use.

    Raises:
        ArtifactError: If the cache folder cannot be written or read.
        ConfigError: If all groups of a data set are left out.
        DataError: If a data set is missing, malformed, or changed meanwhile.
    """
    found = {source.label: identify(source) for source in sources}
    left_out = {name: sorted(ids) for name, ids in (left_out or {}).items() if ids}
    recipe = {
        "format": _FORMAT,
        "version": __version__,
        # The case of letters is a matter of the version of Unicode.
        "unicode": unicodedata.unidata_version,
        "sources": [found[source.label].record for source in sources],
        "left_out": left_out,
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder() / "prepared" / key
    if not is_complete(folder):
        _refuse_to_prepare_twice()
        with sole_writer(folder):
            if not is_complete(folder):  # another process may have prepared it meanwhile
                _drop_blocks_of_others(folder / "blocks", found)
                try:
                    counts = _prepare(folder, sources, left_out, jobs or cores())
                    refuse_changed(found)
                except (ConfigError, DataError):  # mended data have a folder of their own
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                _finish(folder, recipe, counts)
    return open_table(folder)


def _refuse_to_prepare_twice() -> None:
    """Raise in a worker that runs the user's script again, whose parent holds the lock.

    Raises:
        ArtifactError: If this is one.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ArtifactError(
            "data are prepared by several processes, which start this script again; put what it "
            "does under `if __name__ == '__main__':`, or run `isoglot data prepare` first"
        )


def _drop_blocks_of_others(blocks: Path, found: Mapping[str, Identity]) -> None:
    """Delete what an interrupted preparation left, unless its files are untouched since then.

    The name of the folder says what the files held when they were hashed. A file that was changed
    while it was read, and put back, left blocks of something else.
    """
    stamps = {str(p): list(s) for one in found.values() for p, s in one.stamps.items()}
    record = blocks / "stamps.json"
    if not record.is_file() or read_json(record) != stamps:
        shutil.rmtree(blocks, ignore_errors=True)
        write_json(record, stamps)


def _prepare(
    folder: Path,
    sources: Sequence[SourceConfig],
    left_out: Mapping[str, Collection[str]],
    jobs: int,
) -> dict[str, Any]:
    """Make all blocks and merge them; return counts."""
    blocks: list[StoredBlock] = []
    datasets: list[int] = []
    for number, source in enumerate(sources):
        prefix = f"{source.label}/" if len(sources) > 1 else ""
        paths = _make_blocks(
            folder / "blocks" / f"{number}", source, prefix, left_out.get(source.label, ()), jobs
        )
        own = [StoredBlock(path) for path in paths]
        check_whole(source, own)
        blocks += own
        datasets += [number] * len(own)
    merged = Merged(blocks, datasets)
    _write(folder, merged)
    return {
        "langs": merged.langs,
        "datasets": [source.label for source in sources],
        "groups": len(merged.dataset),
        "texts": merged.texts,
    }


def _make_blocks(
    folder: Path, source: SourceConfig, prefix: str, left_out: Collection[str], jobs: int
) -> list[Path]:
    """Make the blocks of a data set that are not there; return all in order."""
    paths: list[Path] = []
    total = _size(source)
    with (
        progress_bar(f"reading {source.label}", total, "B", show=(total or 0) > _SHOW_BYTES) as bar,
        _Workers(jobs) as workers,
    ):
        for piece in cut_source(source):
            paths.append(folder / f"{len(paths):06}.npz")
            if not paths[-1].is_file():
                workers.submit(paths[-1], piece, prefix, left_out)
            bar.update(piece.size - bar.n)
        workers.finish()
    return paths


def _size(source: SourceConfig) -> int | None:
    path = Path(source.path)
    return path.stat().st_size if source.format in ("groups", "bitext") else None


class _Workers:
    """Processes that make blocks; as many pieces are on the way as there are processes, twice.

    The first two pieces are worked on here: small data need no process, whose start takes longer.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._running: deque[Future[None]] = deque()
        self._waiting: list[tuple[Any, ...]] = []

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def submit(self, path: Path, *task: Any) -> None:  # noqa: ANN401
        """Have a block made; faults of earlier ones are raised here."""
        if self._jobs == 1:
            _make_block(path, *task)
            return
        if self._pool is None and len(self._waiting) < 2:
            self._waiting.append((path, *task))
            return
        if self._pool is None:
            # A new process each, because threads of this one do not survive a fork.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._jobs, mp_context=context)
            self._running.extend(self._pool.submit(_make_block, *task) for task in self._waiting)
        if len(self._running) >= 2 * self._jobs:
            self._take()
        self._running.append(self._pool.submit(_make_block, path, *task))

    def finish(self) -> None:
        """Wait for all blocks."""
        if self._pool is None:
            for task in self._waiting:
                _make_block(*task)
        while self._running:
            self._take()

    def _take(self) -> None:
        try:
            self._running.popleft().result()
        except BrokenProcessPool as error:
            raise ArtifactError(
                "a process that read training data has ended, perhaps for lack of memory, or "
                "because a script calls this outside of `if __name__ == '__main__':`; run again, "
                "it goes on where it was"
            ) from error


def _make_block(path: Path, piece: Piece, prefix: str, left_out: Collection[str]) -> None:
    save_block(path, make_block(piece, prefix, frozenset(left_out)))


def _write(folder: Path, merged: Merged) -> None:
    """Write everything but the manifest."""
    groups, langs = len(merged.dataset), len(merged.langs)
    meaning, negative_meaning = merged.meanings()
    write_strings(folder / "texts.arrow", merged.strings())
    write_strings(folder / "group_ids.arrow", merged.names())
    # The cells are by far the largest part: those of a bitext are written once.
    passages = () if merged.passages_are_queries() else ("passage",)
    for side in ("query", "negative", *passages):
        height = len(negative_meaning) if side == "negative" else groups
        write_array(folder / f"{side}.npy", merged.cells(side), np.int32, (height, langs))
    arrays: dict[str, npt.NDArray[Any]] = {
        "folded": merged.folded,
        "order": merged.order,
        "dataset": merged.dataset,
        "meaning": meaning,
        "negative_meaning": negative_meaning,
        "negative_start": merged.negative_start,
    }
    for name, array in arrays.items():
        write_array(folder / f"{name}.npy", (array,), array.dtype, array.shape)


def _finish(folder: Path, recipe: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
    shutil.rmtree(folder / "blocks", ignore_errors=True)
    paths = sorted([*folder.glob("*.arrow"), *folder.glob("*.npy")])
    sizes = {path.name: path.stat().st_size for path in paths}
    write_json(folder / _MANIFEST, {**recipe, **counts, "files": sizes})
    mark_complete(folder)


def open_table(folder: Path) -> ParallelTable:
    """Memory-map the table of a prepared folder.

    Raises:
        ArtifactError: If it is incomplete or damaged.
    """
    manifest = read_json(folder / _MANIFEST)
    for name, size in manifest["files"].items():
        path = folder / name
        there = path.stat().st_size if path.is_file() else None
        if there != size:
            raise ArtifactError(
                f"{path}: {'is missing' if there is None else f'has {there} bytes'}, the manifest "
                f"says {size} bytes; delete {folder}, it is made again"
            )
    paths = [folder / name for name in manifest["files"] if name.endswith(".npy")]
    array = {path.stem: open_array(path) for path in paths}
    return ParallelTable(
        langs=tuple(manifest["langs"]),
        datasets=tuple(manifest["datasets"]),
        group_ids=Names(open_strings(folder / "group_ids.arrow")),
        dataset=array["dataset"],
        query=Cells(array["query"]),
        passage=Cells(array.get("passage", array["query"])),
        negative_start=array["negative_start"],
        negative=Cells(array["negative"]),
        meaning=array["meaning"],
        negative_meaning=array["negative_meaning"],
        texts=open_strings(folder / "texts.arrow"),
        folded=array["folded"],
        order=array["order"],
        folder=folder,
    )
