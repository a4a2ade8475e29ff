"""XQuAD-R's size: 13,090 queries, 13,014 passages, 11 relevant passages each."""

import time
import tracemalloc

import numpy as np
import pytest
from benchmarks.evaluation import DIM, PASSAGES, xquad_sized_collection

from isoglot import bias
from isoglot.evaluation import evaluate, write_evaluation


@pytest.mark.slow
def test_time_and_memory(tmp_path):
    collection = xquad_sized_collection()
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((len(collection.queries), DIM), dtype=np.float32)
    passages = rng.standard_normal((PASSAGES, DIM), dtype=np.float32)
    start = time.perf_counter()
    evaluation = evaluate(collection, queries, passages)
    measured = time.perf_counter()
    write_evaluation(evaluation, tmp_path, model="random", bias=bias.summarize(evaluation))
    written = time.perf_counter()
    assert measured - start < 30
    assert written - measured < 30

    tracemalloc.start()  # slows the pass down, hence a second one
    evaluate(collection, queries, passages)
    peak_mb = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert peak_mb < 600
