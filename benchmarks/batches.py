"""What drawing batches costs, and what the plan costs to build: ``python -m benchmarks.batches``.

Tables of random groups in 21 languages, each language of a group present with probability 0.6, and
the sentences of ``data/bitext`` in ``ISOGLOT_SHARED`` (default ``../shared``), if they are there;
process time of one thread, median of repeats.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import numpy as np

from benchmarks import SHARED_DATA
from isoglot.batches.plan import BatchPlan
from isoglot.config.schema import BatchConfig
from isoglot.config.sources import SourceConfig
from isoglot.data.parallel import ParallelTable, build_table
from isoglot.data.prepared.store import prepare_table
from isoglot.records import Group

LANGUAGES = (
    *("ar", "bn", "de", "el", "en", "es", "fa", "fi", "fr", "hi", "id"),
    *("ja", "ko", "ru", "sw", "te", "th", "tr", "vi", "yo", "zh"),
)
SHAPES = ((4_000, 100), (4_000, 1_000), (100_000, 100), (100_000, 2_048))
SENTENCES = SHARED_DATA / "bitext" / "sentences.jsonl.gz"
SENTENCE_BATCHES = (512, 2_048)
DRAWS = 100
REPEATS = 5


def random_table(groups: int) -> ParallelTable:
    """Return a table of groups with random languages."""
    rng = np.random.default_rng(0)
    present = rng.random((groups, len(LANGUAGES))) < 0.6
    present[:, 0] |= ~present.any(axis=1)

    def texts(group: int, what: str) -> dict[str, str]:
        return {LANGUAGES[i]: f"{what} {group} {i}" for i in np.flatnonzero(present[group])}

    return build_table(
        {"random": (Group(str(g), texts(g, "query"), texts(g, "passage")) for g in range(groups))}
    )


def seconds(work: Callable[[], object]) -> float:
    """Return the median process time of some repeats."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return median(times)


def shapes() -> Iterator[tuple[ParallelTable, int, int]]:
    """Yield tables, sizes of batches and negatives per query."""
    tables = {groups: random_table(groups) for groups in {groups for groups, _ in SHAPES}}
    for groups, size in SHAPES:
        for negatives in (0, 1):
            yield tables[groups], size, negatives
    if SENTENCES.is_file():
        table = prepare_table([SourceConfig(path=str(SENTENCES), format="bitext")])
        for size in SENTENCE_BATCHES:
            yield table, size, 0


def main() -> None:
    """Print a table and, last, one JSON object."""
    results = []
    print("data set   groups   batch  negatives  plan s  ms per batch  microseconds per row")
    for table, size, negatives in shapes():
        config = BatchConfig(size=size, negatives_per_query=negatives)
        build = seconds(partial(BatchPlan, table, config, 0))
        plan = BatchPlan(table, config, 0)
        draw = seconds(lambda p=plan: [p.batch(i) for i in range(DRAWS)]) / DRAWS  # type: ignore[misc]
        per_row = draw / size * 1e6
        print(
            f"{table.datasets[0]:9} {len(table):7,} {size:6,}  {negatives:9}  {build:6.2f}"
            f"  {draw * 1e3:12.3f}  {per_row:20.2f}"
        )
        results.append(
            {
                "data": table.datasets[0],
                "groups": len(table),
                "batch": size,
                "negatives_per_query": negatives,
                "plan_s": round(build, 4),
                "batch_ms": round(draw * 1e3, 4),
            }
        )
    print(json.dumps({"batches": results}))


if __name__ == "__main__":
    main()
