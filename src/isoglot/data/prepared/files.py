"""The files of a prepared folder: arrays as ``.npy``, strings as Arrow IPC, both memory-mapped.

They are written block by block, so that writing needs little memory, and by plain writes, so that
a full disk is an error and not the end of the process. Every file is whole or absent.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from filelock import FileLock

from isoglot.artifacts import atomic_write
from isoglot.errors import ArtifactError

__all__ = [
    "cut_strings",
    "join_strings",
    "open_array",
    "open_strings",
    "sole_writer",
    "write_array",
    "write_strings",
]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

_COLUMN = "string"
_ADVICE = "set ISOGLOT_CACHE to a folder with room that you may write to"


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make a folder and be the only process that fills it; others wait here.

    Raises:
        ArtifactError: If it cannot be made or written, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            for left in folder.glob(".*"):  # begun by a process that was killed
                left.unlink(missing_ok=True)
            yield
    except OSError as error:
        raise ArtifactError(
            f"{folder}: cannot be written ({error.strerror or error}); {_ADVICE}"
        ) from error
    except ArtifactError as error:
        if isinstance(error.__cause__, OSError):
            raise ArtifactError(f"{error}; {_ADVICE}") from error
        raise


def write_array(
    path: Path, blocks: Iterable[Array], dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> None:
    """Write one array, given as its rows block by block.

    Args:
        path: The ``.npy`` file.
        blocks: Arrays that make up the whole one along its first axis.
        dtype: Of the file.
        shape: Of the whole array.

    Raises:
        ArtifactError: If it cannot be written.
    """
    kind = np.dtype(dtype)
    header = {"descr": kind.str, "fortran_order": False, "shape": shape}
    written = 0
    with atomic_write(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype=kind).data)
            written += len(block)
    assert written == shape[0], f"{path}: {written} rows instead of {shape[0]}"


def open_array(path: Path) -> Array:
    """Memory-map an array.

    Raises:
        ArtifactError: If the file is missing or damaged.
    """
    try:
        # As a plain array: indexing the class memmap takes twice as long.
        array: Array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, EOFError, ValueError) as error:
        raise ArtifactError(
            f"{path}: cannot be read as .npy ({error}); delete its folder"
        ) from error
    return array


def write_strings(path: Path, blocks: Iterable[tuple[Bytes, IntArray]]) -> None:
    """Write strings as one Arrow record batch with a column of ``large_string``.

    One batch, because then any rows are taken without copying. Its buffers are collected in
    unnamed files beside it first, because a batch is written whole.

    Args:
        path: The Arrow IPC file.
        blocks: UTF-8 bytes of some strings, one after the other, and where each ends.

    Raises:
        ArtifactError: If it cannot be written.
    """
    schema = pa.schema([(_COLUMN, pa.large_string())])
    with atomic_write(path, "wb") as file:
        with _collected(path.parent, blocks) as strings, pa.ipc.new_file(file, schema) as target:
            target.write_batch(pa.record_batch([strings], schema=schema))


@contextlib.contextmanager
def _collected(folder: Path, blocks: Iterable[tuple[Bytes, IntArray]]) -> Iterator[pa.Array]:
    """Yield the strings of all blocks as one array that lies in temporary files."""

    def mapped(path: Path) -> pa.Buffer:
        return pa.memory_map(str(path)).read_buffer() if path.stat().st_size else pa.py_buffer(b"")

    with (
        tempfile.NamedTemporaryFile(dir=folder, prefix=".") as data,
        tempfile.NamedTemporaryFile(dir=folder, prefix=".") as offsets,
    ):
        offsets.write(np.zeros(1, dtype=np.int64).data)
        count, size = 0, 0
        for content, ends in blocks:
            data.write(content.data)
            offsets.write((ends + size).astype(np.int64).data)
            count += len(ends)
            size += len(content)
        data.flush()
        offsets.flush()
        yield pa.LargeStringArray.from_buffers(
            count, mapped(Path(offsets.name)), mapped(Path(data.name))
        )


def open_strings(path: Path) -> pa.Array:
    """Memory-map what ``write_strings`` wrote: a ``large_string`` array.

    Raises:
        ArtifactError: If the file is missing or damaged.
    """
    try:
        with pa.ipc.open_file(pa.memory_map(str(path))) as file:
            return file.get_batch(0).column(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(
            f"{path}: cannot be read as Arrow ({error}); delete its folder"
        ) from error


def join_strings(strings: Iterable[bytes]) -> tuple[Bytes, IntArray]:
    """Return encoded strings as one array of bytes, and where each ends."""
    parts = list(strings)
    ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
    return np.frombuffer(b"".join(parts), dtype=np.uint8), ends


def cut_strings(
    content: Bytes, ends: IntArray, keep: npt.NDArray[np.bool_]
) -> tuple[Bytes, IntArray]:
    """Return only some of the strings that ``join_strings`` joined."""
    lengths = np.diff(ends, prepend=0)
    return content[np.repeat(keep, lengths)], np.cumsum(lengths[keep])
