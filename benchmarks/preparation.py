"""What preparing training data costs, and using it: ``python -m benchmarks.preparation``.

Real: the sentences of ``data/bitext`` in ``ISOGLOT_SHARED`` (default ``../shared``), tokenized with
the embedded encoder's tokenizer. Synthetic: pairs of short texts in 21 languages, 10 million unless
``--pairs N`` says otherwise. Every step runs in a process of its own. Memory is the anonymous
memory of it and its workers, sampled, because mapped files are the system's to drop. Cold means
that the system has dropped the prepared folder from memory.
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import importlib.resources
import itertools
import json
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import SHARED_DATA
from benchmarks.batches import LANGUAGES
from isoglot.batches.plan import BatchPlan
from isoglot.config.schema import BatchConfig
from isoglot.config.sources import SourceConfig
from isoglot.data.parallel import ParallelTable
from isoglot.data.prepared.store import prepare_table
from isoglot.data.tokens import tokenize_table

SENTENCES = SHARED_DATA / "bitext" / "sentences.jsonl.gz"
TEXTS = 400_000
PAIRS = 10_000_000
BATCH = 1_024
DRAWS = 100
REPEATS = 5
HELD_OUT = 200
WRITTEN = 100_000
SAMPLE_S = 0.05


def main() -> None:
    """Print a table and, last, one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--step", choices=("prepare", "draw"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tokens", action="store_true")
    options = parser.parse_args()
    if options.step is not None:
        step = prepare if options.step == "prepare" else draw
        print(json.dumps(step(options.data, options.tokens)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {
            name: measure(name, path, Path(folder), tokens=tokens)
            for name, path, tokens in data_sets(Path(folder), options.pairs)
        }
    print(json.dumps({"preparation": results, "batch": BATCH, "cores": os.cpu_count()}))


def data_sets(folder: Path, pairs: int) -> Iterator[tuple[str, Path, bool]]:
    """Yield name, file, and whether its texts are tokenized too."""
    if SENTENCES.is_file():
        yield f"{TEXTS:,} sentences", write_sentences(folder / "some.jsonl"), True
        yield "all sentences", SENTENCES, True
    yield f"{pairs:,} pairs", write_pairs(folder / "pairs.jsonl", pairs), False


def write_sentences(path: Path) -> Path:
    """Write the first groups of the real sentences, as many as hold ``TEXTS`` texts."""
    count = 0
    with gzip.open(SENTENCES, "rb") as source, path.open("wb") as target:
        for line in source:
            count += len(json.loads(line)["text"])
            if count > TEXTS:
                break
            target.write(line)
    return path


def write_pairs(path: Path, pairs: int) -> Path:
    """Write pairs of short texts in two of 21 languages; one text in 200 is a repeated heading."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, size=rng.integers(2, 9))) for _ in range(50_000)]
    with path.open("w") as file:
        for start in range(0, pairs, WRITTEN):
            numbers = range(start, min(start + WRITTEN, pairs))
            picked = rng.integers(len(words), size=(len(numbers), 8)).tolist()
            langs = np.argsort(rng.random((len(numbers), len(LANGUAGES))), axis=1)[:, :2].tolist()
            for number, picks, (one, other) in zip(numbers, picked, langs, strict=True):
                first = " ".join(words[pick] for pick in picks[:4])
                second = " ".join(words[pick] for pick in picks[4:])
                text = {
                    LANGUAGES[one]: f"{first} {number}",
                    LANGUAGES[other]: f"{second} {number}"
                    if number % 100
                    else f"heading {number % 7}",
                }
                file.write(json.dumps({"text": text}) + "\n")
    return path


def measure(name: str, path: Path, folder: Path, *, tokens: bool) -> dict[str, Any]:
    """Prepare a data set and draw from it; print the figures and return them."""
    cache = folder / name.replace(" ", "-")
    figures = {**step("prepare", path, cache, tokens), **step("draw", path, cache, tokens)}
    print(f"\n{name}: {path.stat().st_size / 1e6:,.0f} MB")
    for key, value in figures.items():
        print(f"    {key:28} {value:>12,}")
    return figures


def step(what: str, path: Path, cache: Path, tokens: bool) -> dict[str, Any]:
    """Run a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.preparation", "--step", what, "--data", str(path)]
    environment = {**os.environ, "ISOGLOT_CACHE": str(cache)}
    output = subprocess.run(
        [*command, *(["--tokens"] if tokens else [])],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures


def prepare(path: Path, tokens: bool) -> dict[str, Any]:
    """Prepare a file, with tokens if wanted."""
    with Memory() as memory:
        started = time.monotonic()
        table = open_file(path)
        read = time.monotonic() - started
        if tokens:
            tokenize(table)
        seconds = time.monotonic() - started
    assert table.folder is not None
    return {
        "groups": len(table),
        "texts": len(table.texts),
        "prepare_s": round(seconds, 1),
        "of_this_tokens_s": round(seconds - read, 1),
        "prepare_anonymous_mib": memory.peak_mib,
        "folder_mb": round(
            sum(f.stat().st_size for f in table.folder.rglob("*") if f.is_file()) / 1e6
        ),
    }


def draw(path: Path, tokens: bool) -> dict[str, Any]:
    """Open a prepared file, plan, and draw batches at random places."""
    del tokens
    folder = open_file(path).folder  # hashes the file, which is not what is measured
    assert folder is not None
    forget(folder)
    with Memory() as memory:
        started = time.monotonic()
        whole = open_file(path)
        plan = BatchPlan(whole.hold_out(HELD_OUT)[0], BatchConfig(size=BATCH), 0)
        plan.batch(0)
        opened = time.monotonic() - started
        cold_indices, warm_indices = np.random.default_rng(0).integers(1 << 30, size=(2, DRAWS))
        unmap(whole)
        forget(folder)
        cold = milliseconds(plan, cold_indices.tolist())
        warm = min(milliseconds(plan, warm_indices.tolist()) for _ in range(REPEATS))
    return {
        "first_batch_cold_s": round(opened, 1),
        "use_anonymous_mib": memory.peak_mib,
        "batch_cold_ms": cold,
        "batch_warm_ms": warm,
        "texts_of_batch_warm_ms": texts_milliseconds(plan, warm_indices.tolist()),
    }


def unmap(table: ParallelTable) -> None:
    """Give back the mapped pages of the cells and texts, so that the system can drop them."""
    cells = [next(side.blocks())[1] for side in (table.query, table.passage)]
    regions = [(block.ctypes.data, len(table) * block.strides[0]) for block in cells]
    regions += [(buffer.address, buffer.size) for buffer in table.texts.buffers() if buffer]
    libc = ctypes.CDLL(None, use_errno=True)
    for address, size in regions:
        start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        length = max(0, address + size - start)
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def milliseconds(plan: BatchPlan, indices: list[int]) -> float:
    """Return the mean time of drawing a batch."""
    started = time.perf_counter()
    for index in indices:
        plan.batch(index)
    return round((time.perf_counter() - started) / len(indices) * 1e3, 3)


def texts_milliseconds(plan: BatchPlan, indices: list[int]) -> float:
    """Return the mean time of looking up the texts of a batch that is drawn, the second time."""
    batches = [plan.batch(index) for index in indices]
    for _ in range(2):
        started = time.perf_counter()
        for batch in batches:
            rows = np.concatenate([batch.query_texts, batch.passage_texts])
            plan.table.texts.take(rows).to_pylist()
    return round((time.perf_counter() - started) / len(indices) * 1e3, 3)


def open_file(path: Path) -> ParallelTable:
    """Return the table of a bitext file, prepared if need be."""
    return prepare_table([SourceConfig(path=str(path), format="bitext")])


def tokenize(table: ParallelTable) -> None:
    """Make the tokens of all texts with the embedded encoder's tokenizer."""
    from tokenizers import Tokenizer

    file = importlib.resources.files("isoglot.models") / "mini" / "tokenizer.json"
    tokenize_table(Tokenizer.from_str(file.read_text("utf-8")), table)


def forget(folder: Path) -> None:
    """Have the system drop the files of a folder from memory, as far as it can."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Memory:
    """Samples the anonymous memory of this process and its children."""

    def __init__(self) -> None:
        self.peak_mib = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            pids = itertools.chain([os.getpid()], children(os.getpid()))
            self.peak_mib = max(self.peak_mib, sum(map(anonymous_kib, pids)) // 1024)


def children(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and theirs."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield int(child)
            yield from children(int(child))


def anonymous_kib(pid: int) -> int:
    """Return the anonymous memory of a process; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if "RssAnon" in line), 0)


if __name__ == "__main__":
    main()
