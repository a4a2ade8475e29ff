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
from collections.abc import Iterable
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, median

import torch
from sentence_transformers import SentenceTransformer

from isoglot.bias import summarize
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.mini import load_mini
from isoglot.evaluation.evaluate import Evaluation
from isoglot.models.loading import embedded_encoder
from isoglot.pipeline.evaluation import evaluate_model

DATA = Path(os.environ.get("ISOGLOT_SHARED", "../shared")) / "data"
TEXTS, REPEATS = 2_000, 5
SETTINGS = ("monolingual", "cross-lingual", "multilingual")


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


def by_language(evaluation: Evaluation, setting: str, measure: str) -> dict[str, float]:
    """Return the mean over the settings of each query language."""
    found: dict[str, list[float]] = {}
    for row in evaluation.settings:
        if (row.setting, row.measure) == (setting, measure):
            found.setdefault(row.query_lang, []).append(row.value)
    return {lang: round(mean(values), 4) for lang, values in sorted(found.items())}


def print_rows(title: str, rows: Iterable[tuple[str, dict[str, float]]]) -> None:
    """Print one line per name: the mean, then the languages."""
    print(f"\n{title}")
    for name, values in rows:
        print(f"{name:14} {mean(values.values()):.4f}   ", end="")
        print("  ".join(f"{lang} {value:.3f}" for lang, value in values.items()))


def measure_quality(model: SentenceTransformer) -> dict[str, object]:
    """Print and return the figures on the benchmarks at hand."""
    xquad = evaluate_model(model, load_benchmark("xquad-r", data_dir=DATA / "xquad-r"), run_depth=0)
    rows = [(setting, by_language(xquad, setting, "AP")) for setting in SETTINGS]
    print_rows("XQuAD-R, AP by query language", rows)
    distance = summarize(xquad)["rank_distance"]
    print(f"rank distance  {distance:,.0f}")

    collection = load_benchmark("miracl-mini", data_dir=DATA / "miracl-mini")
    miracl = evaluate_model(model, collection, run_depth=0)
    gain = by_language(miracl, "monolingual", "nDCG@10")
    print_rows("MIRACL-mini, nDCG@10 by language", [("monolingual", gain)])
    splits = dict(part.split("=") for part in collection.options["splits"].split())
    train = [value for lang, value in gain.items() if splits[lang] == "train"]
    print(f"mean of the {len(train)} languages with train topics: {mean(train):.4f}")
    return {
        "xquad_r": {setting: round(mean(values.values()), 4) for setting, values in rows},
        "xquad_r_rank_distance": round(distance),
        "miracl_mini_train_ndcg10": round(mean(train), 4),
        "miracl_mini_lowest_ndcg10": min(train),
    }


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
    if DATA.is_dir():
        results |= measure_quality(model)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
