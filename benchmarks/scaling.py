"""What encoding on Ray costs beside encoding in one process: ``python -m benchmarks.scaling``.

The same texts and one thread per worker: in this process, on Ray with one worker, on Ray with two.
``static`` is the embedded encoder, ``transformer`` a small one with random weights. Rates are taken
after the first quarter of the shards, when all workers have their encoder; what comes before is the
start. CPU time is that of this process and all its children, Ray's own included, so that it
compares where other work is on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import psutil  # type: ignore[import-untyped]
import torch

from benchmarks._encoding_models import build_transformer
from benchmarks.encoding import passages
from isoglot.config.encoding import EncodingConfig
from isoglot.config.model import ModelConfig
from isoglot.data.corpus import open_passages, store_passages
from isoglot.encoding import ray as ray_engine
from isoglot.encoding.encoders import open_text_encoder
from isoglot.encoding.ray_ledger import ShardLedger
from isoglot.encoding.shards import ShardWriter
from isoglot.encoding.stream import encode_corpus
from isoglot.records import Passage

SHARDS = 16
SHARD_SIZES = {"static": 1_500, "transformer": 64}
WORKERS = (1, 2)


class Mark(NamedTuple):
    """When a shard was entered: seconds of the wall and of all our processors."""

    wall: float
    cpu: float


def main() -> None:
    """Print a table and, last, one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("encoders", nargs="*", default=list(SHARD_SIZES))
    torch.set_num_threads(1)
    results = {}
    for name in parser.parse_args().encoders:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(name, Path(folder))
    print(json.dumps({"scaling": results, "shards": SHARDS, "cores": os.cpu_count()}))


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Return the figures of one encoder."""
    size = SHARD_SIZES[name]
    texts = passages(SHARDS * size)
    rows = [Passage(f"p{row}", "mul", text) for row, text in enumerate(texts)]
    store_passages(folder / "corpus", {}, lambda: rows, name="texts")
    model = ModelConfig(name="mini" if name == "static" else transformer(folder, texts))
    settings = EncodingConfig(backend="torch", precision="float32", shard_size=size, threads=1)

    def local() -> None:
        encoder = open_text_encoder(model, backend="torch", precision="float32", threads=1)
        stored = open_passages(folder / "corpus")
        encode_corpus(encoder, stored, folder / "local", shard_size=size, show_progress=False)

    figures = {"local": report(name, "local", marks_of(local, ShardWriter, "enter"), size)}
    for workers in WORKERS:
        figures[f"ray {workers}"] = report(
            name, f"ray, {workers} workers", on_ray(model, folder, settings, workers), size
        )
    return figures


def transformer(folder: Path, texts: list[str]) -> str:
    """Save a transformer of 6 layers and width 384 and return its folder."""
    (folder / "model").mkdir()
    return build_transformer(folder / "model", texts, layers=6, width=384)


def on_ray(model: ModelConfig, folder: Path, settings: EncodingConfig, workers: int) -> list[Mark]:
    """Encode on a Ray of this machine that has so many CPUs."""
    import ray

    def encode() -> None:
        ray.init(
            address="local", num_cpus=workers, object_store_memory=100_000_000, log_to_driver=False
        )
        try:
            output = folder / f"ray-{workers}"
            ray_engine.encode_corpus_ray(
                model, folder / "corpus", output, settings, show_progress=False
            )
        finally:
            ray.shutdown()

    return marks_of(encode, ShardLedger, "add")


def marks_of(work: Callable[[], None], owner: type, method: str) -> list[Mark]:
    """Do the work; return a mark for its begin and one for every call of a method."""
    marks = [mark()]
    real = getattr(owner, method)

    def watched(*arguments: Any) -> None:  # noqa: ANN401 - passed on
        real(*arguments)
        marks.append(mark())

    with mock.patch.object(owner, method, watched):
        work()
    return marks


def mark() -> Mark:
    """Return the time and the CPU time so far of this process and its children."""
    own = psutil.Process()
    cpu = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        cpu += times.user + times.system
    return Mark(time.perf_counter(), cpu)


def report(name: str, what: str, marks: list[Mark], size: int) -> dict[str, float]:
    """Print and return start, rate and CPU time per shard."""
    first = len(marks) // 4
    shards = len(marks) - 1 - first
    wall, cpu = (late - early for late, early in zip(marks[-1], marks[first], strict=True))
    figures = {
        "start_s": round(marks[first].wall - marks[0].wall - first * wall / shards, 2),
        "passages_per_s": round(shards * size / wall, 1),
        "cpu_s_per_shard": round(cpu / shards, 3),
    }
    print(
        f"{name:12} {what:16} start {figures['start_s']:6.1f} s  "
        f"{figures['passages_per_s']:9,.0f} passages/s  "
        f"{figures['cpu_s_per_shard']:.3f} CPU-s per shard of {size:,}",
        flush=True,
    )
    return figures


if __name__ == "__main__":
    main()
