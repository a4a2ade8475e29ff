"""What an audit of real training data costs: ``python -m benchmarks.audit``.

The sentences and course sections of ``data/`` in ``ISOGLOT_SHARED`` (default ``../shared``) against
XQuAD-R; wall time of one run, peak memory of the process.
"""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path

from isoglot.data.benchmarks import load_benchmark
from isoglot.data.bitext import read_bitext
from isoglot.data.groups import read_groups
from isoglot.data.leakage import find_leaks

BENCHMARK = "xquad-r"


def main() -> None:
    """Print a table and, last, one JSON object."""
    folder = Path(os.environ.get("ISOGLOT_SHARED", "../shared")) / "data"
    sources = {
        "bitext": read_bitext(folder / "bitext" / "sentences.jsonl.gz"),
        "courses": read_groups(folder / "parallel-pairs" / "courses.jsonl.gz"),
    }
    collection = load_benchmark(BENCHMARK, data_dir=folder / BENCHMARK)
    print("source    seconds  queries  passages  groups")
    results = []
    for name, groups in sources.items():
        started = time.monotonic()
        (report,) = find_leaks([(name, groups)], [collection])
        seconds = time.monotonic() - started
        queries, passages = report.count("query"), report.count("passage")
        leaking = sum(map(len, report.groups.values()))
        print(f"{name:8}  {seconds:7.1f}  {queries:7}  {passages:8}  {leaking:6}")
        results.append(
            {
                "source": name,
                "seconds": round(seconds, 1),
                "leaking_queries": queries,
                "leaking_passages": passages,
                "leaking_groups": leaking,
            }
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # KiB on Linux
    print(f"peak memory: {peak} MiB")
    print(json.dumps({"audit": results, "benchmark": BENCHMARK, "peak_mib": peak}))


if __name__ == "__main__":
    main()
