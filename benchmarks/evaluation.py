"""What measuring all settings costs at XQuAD-R's size: ``python -m benchmarks.evaluation``.

13,090 queries, 13,014 passages of 384 random dimensions, 11 relevant passages per query, 132 pools,
six measures at full depth, runs of 100 passages; also for an encoder that gives every text the same
vector, so that every score is a tie. Wall time, median of repeats; memory above the embeddings.
"""

from __future__ import annotations

import json
import time
from statistics import median

import numpy as np

from benchmarks import peak_mib
from isoglot.data.collection import Collection
from isoglot.evaluation import evaluate
from isoglot.records import Passage, Qrel, Query

LANGS = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
QUESTIONS, PASSAGES, DIM = 1_190, 13_014, 384
REPEATS = 3


def xquad_sized_collection() -> Collection:
    """Return a collection of XQuAD-R's size, its texts empty of meaning."""
    passages = [Passage(f"{LANGS[i % 11]}_{i}", LANGS[i % 11], ".") for i in range(PASSAGES)]
    queries = [Query(str(i), lang, "?") for lang in LANGS for i in range(QUESTIONS)]
    qrels = [
        Qrel(query.query_id, query.lang, passages[11 * int(query.query_id) % 10_000 + k].doc_id, 1)
        for query in queries
        for k in range(11)
    ]
    return Collection("xquad-sized", queries, passages, qrels)


def main() -> None:
    """Print a table and, last, one JSON object."""
    collection = xquad_sized_collection()
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((len(collection.queries), DIM), dtype=np.float32)
    passages = rng.standard_normal((PASSAGES, DIM), dtype=np.float32)
    before = peak_mib()
    results = {}
    print("encoder    seconds")
    for name, vectors in (("random", passages), ("collapsed", np.ones_like(passages))):
        times = []
        for _ in range(REPEATS):
            started = time.monotonic()
            evaluation = evaluate(collection, queries, vectors)
            assert evaluation.summary["multilingual"]
            times.append(time.monotonic() - started)
        results[name] = round(median(times), 2)
        print(f"{name:9}  {results[name]:7.2f}")
    above = peak_mib() - before
    print(f"peak memory above the embeddings: {above} MiB")
    print(json.dumps({"evaluation": results, "peak_above_embeddings_mib": above}))


if __name__ == "__main__":
    main()
