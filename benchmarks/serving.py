"""A million passages encoded, indexed and served: ``python -m benchmarks.serving``.

MIRACL-mini from the project's development data in 18 languages, every passage and twelve new ones
of the halves of two. `isoglot encode`, `isoglot index` and `isoglot serve` run as processes of
their own; clients are threads of one more process, each with one connection on loopback that asks
as soon as it has its answer, with MIRACL's topics. Clients and server share the machine's cores.

``--passages N`` makes it smaller; ``--work DIR`` keeps what was encoded and indexed, to be used
again.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks import SHARED_DATA
from benchmarks.miracl import read_passages, recombined
from isoglot.data.trec import read_topics

CLIENTS = (1, 8, 32)
SEARCHES: tuple[dict[str, Any], ...] = (
    {"policy": "score"},
    {"policy": "balanced"},
    {"policy": "balanced", "words": True},
)
WARM_UP_S = 2.0


def write_corpus(folder: Path, passages: int) -> None:
    """Write a file of JSON Lines per language."""
    folder.mkdir(parents=True)
    source = SHARED_DATA / "miracl-mini"
    langs = sorted(path.name for path in source.iterdir() if path.is_dir())
    share = -(-passages // len(langs))
    for lang in langs:
        rows = read_passages(source / lang)
        copies = -(-share // len(rows))
        with (folder / f"{lang}.jsonl").open("w", encoding="utf-8") as file:
            for row in itertools.islice(recombined(rows, copies), share):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_questions() -> list[str]:
    """Return topics of all languages, languages taking turns."""
    topics = []
    for folder in sorted((SHARED_DATA / "miracl-mini").iterdir()):
        files = sorted(folder.glob("topics.*.tsv"))
        if files:
            topics.append([query.text for query in read_topics(files[-1], folder.name)])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*topics))
    return [text for text in turns if text is not None]


def isoglot(*options: object) -> list[str]:
    """Return the command line of ``isoglot``."""
    return [sys.executable, "-m", "isoglot", *map(str, options)]


def run(*options: object) -> float:
    """Run a command, its output shown, and return its seconds."""
    started = time.monotonic()
    subprocess.run(isoglot(*options), check=True)
    return time.monotonic() - started


@contextmanager
def server(index: Path) -> Iterator[tuple[str, int, int]]:
    """Run ``isoglot serve`` on a free port; yield host, port and process id."""
    line = isoglot("serve", index, "--port", 0)
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("isoglot serve ended without an address")
            host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
            yield host, int(port), process.pid
        finally:
            process.terminate()


def ask(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Search once."""
    connection.request("POST", "/search", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"status {response.status}: {content[:200]!r}")


def load(
    host: str, port: int, bodies: Sequence[bytes], clients: int, seconds: float
) -> list[float]:
    """Return the seconds of every search that ``clients`` made after the warm-up."""
    began = time.monotonic()
    times: list[list[float]] = [[] for _ in range(clients)]

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(host, port)
        # Every client begins at another question.
        start = number * len(bodies) // clients
        for body in itertools.islice(itertools.cycle(bodies), start, None):
            asked = time.monotonic()
            ask(connection, body)
            now = time.monotonic()
            if asked - began > WARM_UP_S:
                times[number].append(now - asked)
            if now - began > WARM_UP_S + seconds:
                return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [time_ for own in times for time_ in own]


def memory_mib(pid: int) -> dict[str, int]:
    """Return a process's memory: its own, and with mapped files."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        "own_mib": int(fields["RssAnon"].split()[0]) // 1024,
        "with_files_mib": int(fields["VmRSS"].split()[0]) // 1024,
    }


def measure_load(index: Path, seconds: float) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return a row per kind of search and number of clients, and the server's memory after all."""
    questions = read_questions()
    rows = []
    with server(index) as (host, port, pid):
        for search, clients in itertools.product(SEARCHES, CLIENTS):
            bodies = [json.dumps({"query": text, **search}).encode() for text in questions]
            line = [sys.executable, "-m", "benchmarks.serving", "--clients", str(clients)]
            line += ["--seconds", str(seconds), "--address", f"{host}:{port}"]
            asked = b"".join(body + b"\n" for body in bodies)
            done = subprocess.run(line, input=asked, capture_output=True, check=True)
            times = sorted(json.loads(done.stdout))
            cuts = quantiles(times, n=100)
            rows.append(
                {
                    **search,
                    "clients": clients,
                    "p50_ms": 1000 * cuts[49],
                    "p99_ms": 1000 * cuts[98],
                    "per_second": len(times) / seconds,
                }
            )
            print(show(rows[-1]), flush=True)
        return rows, memory_mib(pid)


def show(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    kind = f"{row['policy']}{' + words' if row.get('words') else ''}"
    return (
        f"{kind:<18} {row['clients']:>3} clients   p50 {row['p50_ms']:7.1f} ms   "
        f"p99 {row['p99_ms']:7.1f} ms   {row['per_second']:7.1f} searches/s"
    )


def folder_mib(folder: Path) -> int:
    """Return the size of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) >> 20


def measure(work: Path, passages: int, seconds: float) -> dict[str, Any]:
    """Encode, index and serve; return all figures."""
    figures: dict[str, Any] = {"passages": passages, "cores": os.cpu_count()}
    if not (work / "index" / "index.json").is_file():
        if not (work / "corpus").is_dir():
            write_corpus(work / "corpus", passages)
        figures["encode_s"] = run(
            "encode", work / "corpus", "-m", "mini", "-o", work / "embeddings"
        )
        figures["index_s"] = run("index", work / "embeddings", "-o", work / "index")
    for name in ("embeddings", "index"):
        figures[f"{name}_mib"] = folder_mib(work / name)
    figures["searches"], figures["server"] = measure_load(work / "index", seconds)
    return figures


def main() -> None:
    """Print a table and, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=15.0, help="of every row of the table")
    parser.add_argument("--work", type=Path, help="folder to keep")
    parser.add_argument("--clients", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.clients:  # the process of the clients
        host, _, port = options.address.partition(":")
        bodies = sys.stdin.buffer.read().splitlines()
        print(json.dumps(load(host, int(port), bodies, options.clients, options.seconds)))
        return
    if not SHARED_DATA.is_dir():
        sys.exit(f"{SHARED_DATA}: not there; set ISOGLOT_SHARED to the folder that holds data/")
    with tempfile.TemporaryDirectory() as name:
        figures = measure(options.work or Path(name), options.passages, options.seconds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
