"""What encoding costs, beside sentence-transformers: ``python -m benchmarks.encoding [PART ...]``.

transformer  a small transformer (6 layers, width 384, random weights): each as configured by
             default, and ours in every backend and precision
quality      what a precision costs a trained encoder in retrieval (XQuAD-R); skipped without
             runs/small-transformer, which experiments/small_transformer.py makes
static       the embedded static encoder
gpu          XLM-R of base size (12 layers, width 768, random weights) in four precisions

Without PART the first three are run; with ``--device cuda`` the last. Texts: real passages in eight
languages from the project's development data; generated ones without it. Wall time and CPU time on
all cores, the variants by turns in one process; ratios are medians over the turns, so that other
work on the machine falls on all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from benchmarks import SHARED_DATA
from benchmarks._encoding_models import build_transformer
from isoglot.config.schema import ModelConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.encoding.encode import encode_texts
from isoglot.encoding.encoders import TextEncoder, open_text_encoder
from isoglot.errors import ConfigError
from isoglot.evaluation import evaluate
from isoglot.models.loading import embedded_encoder

LANGS = ("ar", "en", "fi", "hi", "ru", "sw", "th", "zh")
TEXTS, STATIC_TEXTS, GPU_TEXTS = 160, 4_000, 8_192
GPU_CHARACTERS = 350
"""Of a text on the GPU: about 100 tokens."""
TURNS = 5
TRAINED = Path("runs/small-transformer/model")
QUALITY_LANGS = ("en", "zh")
VARIANTS = (
    ("as configured by default", "auto", "auto"),
    ("torch float32", "torch", "float32"),
    ("torch bfloat16", "torch", "bfloat16"),
    ("onnxruntime float32", "onnx", "float32"),
    ("onnxruntime int8", "onnx", "int8"),
    ("OpenVINO float32", "openvino", "float32"),
)

Figures = dict[str, Any]
Vectors = NDArray[np.float32]
Work = Callable[[], Vectors]


class Timing(NamedTuple):
    """Seconds of one call."""

    wall: float
    cpu: float


def passages(count: int) -> list[str]:
    """Return texts in eight languages, mixed: real ones where there are some."""
    folder = SHARED_DATA / "miracl-mini"
    each = -(-count // len(LANGS))
    if not folder.is_dir():
        return list(itertools.islice(generated(), count))
    texts = []
    for lang in LANGS:
        with gzip.open(folder / lang / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in itertools.islice(lines, each)]
    random.Random(0).shuffle(texts)
    return texts[:count]


def generated() -> Iterator[str]:
    """Yield texts of 10 to 120 words that no language has."""
    rng = random.Random(0)
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    while True:
        yield " ".join(rng.choices(words, weights, k=rng.randint(10, 120)))


def timed(work: Work) -> tuple[Timing, Vectors]:
    """Return what a call takes, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu), result


def by_turns(theirs: Work, ours: Mapping[str, Work], texts: int, turns: int = TURNS) -> Figures:
    """Run all in alternation, print a table, and return figures by variant."""
    timings: dict[str, list[Timing]] = {name: [] for name in ("theirs", *ours)}
    vectors: dict[str, Vectors] = {}
    for _ in range(turns):
        for name, work in (("theirs", theirs), *ours.items()):
            timing, vectors[name] = timed(work)
            timings[name].append(timing)
    print(f"{'':28} {'texts/s':>9} {'times':>7} {'times, CPU':>11} {'lowest cosine':>14}")
    results: Figures = {}
    for name, found in timings.items():
        pairs = list(zip(timings["theirs"], found, strict=True))
        results[name] = row = {
            "texts_per_s": round(texts / median(timing.wall for timing in found), 1),
            "times": round(median(a.wall / b.wall for a, b in pairs), 2),
            "times_cpu": round(median(a.cpu / b.cpu for a, b in pairs), 2),
            "lowest_cosine": round(lowest_cosine(vectors["theirs"], vectors[name]), 6),
        }
        print(
            f"{name:28} {row['texts_per_s']:9,.1f} {row['times']:7.2f} {row['times_cpu']:11.2f} "
            f"{row['lowest_cosine']:14.6f}"
        )
    return results


def lowest_cosine(expected: Vectors, found: Vectors) -> float:
    """Return the cosine similarity of the two vectors that are least alike."""
    norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    return float(((expected * found).sum(axis=1) / norms).min())


def opened(name: str, variants: Any) -> dict[str, TextEncoder]:  # noqa: ANN401
    """Open an encoder in every backend that is installed and can compute it."""
    encoders = {}
    for what, backend, precision in variants:
        try:
            config = ModelConfig(name=name)
            encoders[what] = open_text_encoder(config, backend=backend, precision=precision)
        except ConfigError as error:
            print(f"{what}: {error}")
    return encoders


def transformer(_: str) -> Figures:
    """A small transformer in every backend and precision."""
    texts = passages(3_000)
    with tempfile.TemporaryDirectory() as folder:
        name = build_transformer(Path(folder), texts, layers=6, width=384)
        model = SentenceTransformer(name, device="cpu")
        encoders = opened(name, VARIANTS)
        texts = texts[:TEXTS]
        for encoder in encoders.values():
            encoder.encode(texts[:32], "passage")
        model.encode(texts[:32])
        works = {
            what: partial(encode_texts, encoder, texts, "passage")
            for what, encoder in encoders.items()
        }
        results = by_turns(partial(model.encode, texts), works, len(texts))
    default = encoders["as configured by default"]
    results["default_is"] = f"{type(default).__name__} {default.precision}"
    print(f"default: {results['default_is']}")
    return results


def quality(_: str) -> Figures:
    """Measure a trained encoder in every precision."""
    data = SHARED_DATA / "xquad-r"
    if not TRAINED.is_dir() or not data.is_dir():
        print("no runs/small-transformer or no XQuAD-R: nothing to measure quality with")
        return {}
    collection = load_benchmark("xquad-r", data_dir=data).restrict(QUALITY_LANGS)
    variants = [v for v in VARIANTS if v[0] in ("torch float32", "torch bfloat16")]
    variants += [("OpenVINO bfloat16", "openvino", "bfloat16"), VARIANTS[4]]
    queries = [query.text for query in collection.queries]
    documents = [passage.text for passage in collection.passages]
    results: Figures = {}
    for what, encoder in opened(str(TRAINED), variants).items():
        vectors = [
            encode_texts(encoder, queries, "query"),
            encode_texts(encoder, documents, "passage"),
        ]
        summary = evaluate(collection, vectors[0], vectors[1], measures=["AP", "nDCG@10"]).summary
        results[what] = {setting: dict(values) for setting, values in summary.items()}
        shown = ", ".join(f"{s} {values['AP']:.4f}" for s, values in summary.items())
        print(f"{what:28} mAP: {shown}")
    return results


def static(_: str) -> Figures:
    """The embedded static encoder."""
    texts = passages(STATIC_TEXTS)
    model = SentenceTransformer(str(embedded_encoder()), device="cpu")
    encoder = open_text_encoder(ModelConfig(name="mini"), backend="auto", precision="auto")
    ours = {"as configured by default": partial(encode_texts, encoder, texts, "passage")}
    return by_turns(partial(model.encode, texts), ours, len(texts))


@contextlib.contextmanager
def tensor_float() -> Iterator[None]:
    """Let float32 matrices be multiplied in TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def device_name(device: str) -> str:
    """Return the name of a GPU."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def gpu(device: str) -> Figures:
    """XLM-R of base size in four precisions."""
    texts = [text[:GPU_CHARACTERS] for text in passages(GPU_TEXTS)]
    with tempfile.TemporaryDirectory() as folder:
        name = build_transformer(Path(folder), texts[:2_000], layers=12, width=768)
        model = SentenceTransformer(name, device=device)
        tokens = model.preprocess(texts[:512])["attention_mask"].sum(1).float().mean()
        print(f"{device_name(device)}; {len(texts):,} texts of {tokens:.0f} tokens")
        encoders = {
            precision: open_text_encoder(ModelConfig(name=name), precision=precision, device=device)
            for precision in ("float32", "bfloat16", "float16")
        }

        def in_tensor_float() -> Vectors:
            with tensor_float():
                return encode_texts(encoders["float32"], texts, "passage")

        works: dict[str, Work] = {
            "float32": partial(encode_texts, encoders["float32"], texts, "passage"),
            "tf32": in_tensor_float,
            "bfloat16": partial(encode_texts, encoders["bfloat16"], texts, "passage"),
            "float16": partial(encode_texts, encoders["float16"], texts, "passage"),
        }
        for work in works.values():
            work()  # kernels are chosen at the first call
        results = by_turns(partial(model.encode, texts), works, len(texts), turns=3)
    results["tokens_per_text"] = round(float(tokens), 1)
    results["device"] = device_name(device)
    return results


PARTS = {part.__name__: part for part in (transformer, quality, static, gpu)}


def main() -> None:
    """Print tables and, last, one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    default = ["transformer", "quality", "static"] if arguments.device == "cpu" else ["gpu"]
    results = {}
    for name in arguments.parts or default:
        print(f"\n{name}")
        results[name] = PARTS[name](arguments.device)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
