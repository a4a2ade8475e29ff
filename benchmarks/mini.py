"""What the embedded encoder can do and what it costs: ``python -m benchmarks.mini``.

Size, time to load and texts per second on one core: the questions of the embedded collection, 2,000
texts per call of ``encode``, process time, median of repeats. Where the project's development data
are, also its figures on XQuAD-R and MIRACL-mini, by language.
"""

from __future__ import annotations

import os

os.environ["RAYON_NUM_THREADS"] = "1"  # read by the tokenizer when it starts

import json
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, median

import torch
from sentence_transformers import SentenceTransformer

from benchmarks import SHARED_DATA
from isoglot.bias import summarize
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.mini import load_mini
from isoglot.data.miracl import split_of
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.settings import SETTINGS
from isoglot.models.loading import embedded_encoder
from isoglot.pipeline.evaluation import evaluate_model
from isoglot.reporting.by_language import language_table

TEXTS, REPEATS = 2_000, 5


def megabytes(folder: Path) -> float:
    """Return the size of all files of a folder, in units of 10^6 bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def texts_per_second(model: SentenceTransformer) -> float:
    """Return the rate of ``encode`` on one core."""
    queries = (query.text for query in load_mini("evaluation").queries)
    texts = list(islice(cycle(list(queries)), TEXTS))
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        model.encode(texts, batch_size=256, show_progress_bar=False)
        times.append(time.process_time() - started)
    return TEXTS / median(times)


def measure_quality(model: SentenceTransformer) -> dict[str, object]:
    """Print and return the figures on the benchmarks at hand."""
    xquad = _evaluate(model, "xquad-r", "AP")
    miracl = _evaluate(model, "miracl-mini", "nDCG@10")
    train = [
        row.value
        for row in miracl.settings
        if (row.setting, row.measure) == ("monolingual", "nDCG@10")
        and split_of(miracl.collection, row.query_lang) == "train"
    ]
    print(f"mean of the {len(train)} languages with train topics: {mean(train):.4f}")
    return {
        "xquad_r": {setting: round(xquad.summary[setting]["AP"], 4) for setting in SETTINGS},
        "xquad_r_rank_distance": round(summarize(xquad)["rank_distance"]),
        "miracl_mini_train_ndcg10": round(mean(train), 4),
        "miracl_mini_lowest_ndcg10": round(min(train), 4),
    }


def _evaluate(model: SentenceTransformer, benchmark: str, measure: str) -> Evaluation:
    """Evaluate, and print the figures by language."""
    collection = load_benchmark(benchmark, data_dir=SHARED_DATA / benchmark)
    evaluation = evaluate_model(model, collection, run_depth=0)
    table = language_table(evaluation.settings, summarize(evaluation), measure=measure)
    print(f"\n{benchmark}\n{table.to_text()}")
    return evaluation


def main() -> None:
    """Print the tables and, last, one JSON object."""
    folder = embedded_encoder()
    started = time.monotonic()
    model = SentenceTransformer(str(folder), device="cpu")
    loading = time.monotonic() - started
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rate = texts_per_second(model)
    torch.set_num_threads(threads)
    size = megabytes(folder)
    print(f"{size:.1f} MB, loaded in {loading:.2f} s, {rate:,.0f} texts per second on one core")
    results: dict[str, object] = {
        "megabytes": round(size, 1),
        "load_seconds": round(loading, 2),
        "texts_per_second": round(rate),
    }
    if SHARED_DATA.is_dir():
        results |= measure_quality(model)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
