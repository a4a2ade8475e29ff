"""A corpus streamed, encoded and ranked from disk, end to end: ``python -m benchmarks.miracl``.

MIRACL-mini from the project's development data, each corpus five times: as it is, and with halves
of its passages put together anew. Two processes of ``isoglot evaluate --embeddings`` with the
embedded encoder: one that encodes, one that finds everything there and has a quarter of the memory.
Wall time and peak memory of each process, memory-mapped files included.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import SHARED_DATA

COPIES = 5
TABLES = ("settings.parquet", "per_query.parquet", "ranks.parquet")


def read_passages(folder: Path) -> list[dict[str, str]]:
    """Return the passages of a language."""
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def recombined(rows: list[dict[str, str]], copies: int) -> Iterator[dict[str, str]]:
    """Yield the passages, and new ones of the first half of one and the second half of another."""
    yield from rows
    for copy, (number, row) in itertools.product(range(1, copies), enumerate(rows)):
        other = rows[(7 * number + 131 * copy) % len(rows)]["text"]
        half = len(row["text"]) // 2
        text = f"{other[:half]} {row['text'][half:]}"
        yield {"docid": f"{row['docid']}x{copy}", "title": row["title"], "text": text}


def write_corpora(source: Path, target: Path) -> int:
    """Write the corpora in MIRACL's layout, with the topics that there are; return their size."""
    count = 0
    for folder in sorted(source.iterdir()):
        (target / folder.name).mkdir(parents=True)
        rows = read_passages(folder)
        path = target / folder.name / "corpus.jsonl.gz"
        with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
            for row in recombined(rows, COPIES):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        topics = sorted(folder.glob("topics.*.tsv"))[-1]
        for kind in ("topics", "qrels"):
            judged = folder / topics.name.replace("topics", kind)
            (target / folder.name / f"{kind}.dev.tsv").write_bytes(judged.read_bytes())
    return count


def run(*options: str | Path) -> tuple[float, int]:
    """Return seconds and peak MiB of ``isoglot evaluate``."""
    line = [sys.executable, "-m", "isoglot", "evaluate", *map(str, options)]
    started = time.monotonic()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"failed with {status}: {' '.join(line)}")
    return time.monotonic() - started, usage.ru_maxrss // 1024


def main() -> None:
    """Print a table and, last, one JSON object."""
    if not SHARED_DATA.is_dir():
        sys.exit(f"{SHARED_DATA}: not there; set ISOGLOT_SHARED to the folder that holds data/")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        passages = write_corpora(SHARED_DATA / "miracl-mini", folder / "miracl")
        measures = ("--measure", "nDCG@10", "--measure", "R@100")
        line = ("-b", folder / "miracl", "--embeddings", folder / "embeddings", *measures)
        encoding = run("-m", "mini", *line, "--dtype", "float16", "-o", folder / "first")
        again = run(*line, "--memory-mb", "32", "-o", folder / "second")
        same = all(
            (folder / "first" / table).read_bytes() == (folder / "second" / table).read_bytes()
            for table in TABLES
        )
    print(f"{passages:,} passages")
    for what, (seconds, peak) in (("encoded and ranked", encoding), ("ranked again", again)):
        print(f"{what:20}  {seconds:6.1f} s  {peak:6,} MiB")
    print(f"the same values to the last bit: {same}")
    results = {"passages": passages, "encoding": encoding, "again": again, "same": same}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
