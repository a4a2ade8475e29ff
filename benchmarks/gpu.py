"""What a GPU gives: ``python -m benchmarks.gpu [PART ...]``, with one GPU.

encode-base    passages per second at the size of XLM-R base: precisions, and sentence-transformers
encode-large   the same at the size of XLM-R large
command        ``isoglot encode`` from a file of passages to shards on disk, and the static encoder
training       steps per second and memory beside sentence-transformers' trainer
processes      one training in many ways: precisions, DDP and FSDP2 over NCCL, killed and gone on

Without PART all are run, each in a process of its own with a time limit, so that one which fails
leaves the others. A table and, last, one JSON object are printed. ``--short`` shows on a CPU that
everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import torch
import transformers
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from benchmarks._gpu_cases import build_all, passages, write_corpus
from benchmarks._gpu_training import check_processes, measure_training, train_as_process
from isoglot.config.encoding import Precision
from isoglot.models.attention import attention_of_any_shape

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LIMITS_S = {
    "encode-base": 300,
    "encode-large": 300,
    "command": 600,
    "training": 600,
    "processes": 600,
}
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
MIRACL = 90_000_000
"""Passages of MIRACL's 18 languages, about: 90.4 million."""

Figures = dict[str, Any]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def machine(_: Path, *, short: bool) -> Figures:
    """Print and return what the figures depend on, and what the GPU can at most."""
    facts: Figures = {
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU",
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "transformers": transformers.__version__,
        "sentence-transformers": sentence_transformers.__version__,
    }
    if DEVICE == "cuda":
        facts["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))  # type: ignore[no-untyped-call]
    size = 256 if short else 8_192
    for name, dtype in PRECISIONS.items():
        a, b = (torch.randn(size, size, device=DEVICE).to(dtype or torch.float32) for _ in "ab")
        seconds = _time(functools.partial(torch.matmul, a, b), repeats=10)
        facts[f"TFLOP/s {name}"] = round(2 * size**3 / seconds / 1e12, 1)
    print(json.dumps(facts), flush=True)
    return facts


def _time(work: Callable[[], object], repeats: int = 1) -> float:
    """Return seconds of one call, after one that is not counted."""
    work()
    _wait()
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait()
    return (time.perf_counter() - started) / repeats


def _wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def encode_base(folder: Path, *, short: bool) -> Figures:
    """Measure at the size of XLM-R base."""
    return _encoding(folder / "base", (64, 128) if short else (4_096, 16_384))


def encode_large(folder: Path, *, short: bool) -> Figures:
    """Measure at the size of XLM-R large."""
    return _encoding(folder / "large", (64, 128) if short else (2_048, 8_192))


def _encoding(encoder: Path, sizes: tuple[int, int]) -> Figures:
    """Return passages per second of every side, and how near to fp32 its vectors are.

    Args:
        encoder: The folder of the encoder.
        sizes: How many passages are encoded in fp32, and in less.
    """
    few, many = sizes
    texts = [row["text"] for row in passages(many)]
    results: Figures = {"characters": round(sum(map(len, texts)) / many)}
    results |= _ceilings(encoder, texts)
    exact: NDArray[np.float32] | None = None
    for name, make, count in _sides(encoder, few, many):
        try:
            with _settings(name):
                encode = make()
                encode(texts[:256])
                encode(sorted(texts, key=len)[-256:])  # what memory the longest take
                _wait()
                _reset_peak()
                started = time.perf_counter()
                vectors = encode(texts[:count])
                seconds = time.perf_counter() - started
        except Exception as error:
            results[name] = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        else:
            exact = vectors if exact is None else exact
            results[name] = {
                "per_second": round(count / seconds),
                "hours_for_miracl": round(MIRACL / (count / seconds) / 3600, 2),
                "least_cosine": round(_least_cosine(vectors[:few], exact[:few]), 6),
                "peak_mib": _peak(),
            }
        print(f"{encoder.name} {name:44} {json.dumps(results[name])}", flush=True)
    return results


def _sides(encoder: Path, few: int, many: int) -> list[tuple[str, Callable[[], Encode], int]]:
    """Return names, what makes a function that encodes, and how many texts it is given."""

    def ours(precision: Precision, batch: int | None = None) -> Callable[[], Encode]:
        return lambda: _ours(encoder, precision, batch)

    def theirs(precision: str, batch: int = 32) -> Callable[[], Encode]:
        return lambda: _theirs(encoder, precision, batch)

    return [
        ("ours float32", ours("float32"), few),
        ("ours bfloat16", ours("bfloat16"), many),
        ("theirs bfloat16, batch 256, no cuDNN", theirs("bfloat16", 256), many),
        ("ours float16", ours("float16"), many),
        ("ours bfloat16, batch 1024", ours("bfloat16", 1_024), many),
        ("theirs bfloat16, no cuDNN", theirs("bfloat16"), many),
        ("ours tf32", ours("float32"), few),
        ("theirs float32, as it comes", theirs("float32"), few),
        ("theirs tf32", theirs("float32"), few),
        ("theirs bfloat16", theirs("bfloat16"), few),
        ("theirs bfloat16, batch 256", theirs("bfloat16", 256), few),
    ]


def _ours(encoder: Path, precision: Precision, batch: int | None) -> Encode:
    from isoglot.config.model import ModelConfig
    from isoglot.encoding.encoders import open_text_encoder

    opened = open_text_encoder(ModelConfig(name=str(encoder)), precision=precision, device=DEVICE)
    return lambda texts: opened.encode(texts, "passage", batch_size=batch)


def _theirs(encoder: Path, precision: str, batch: int) -> Encode:
    dtype = PRECISIONS[precision]
    options = {} if dtype is None else {"model_kwargs": {"dtype": dtype}}
    model = SentenceTransformer(str(encoder), device=DEVICE, **options)
    return lambda texts: np.asarray(model.encode(list(texts), batch_size=batch), np.float32)


@contextlib.contextmanager
def _settings(name: str) -> Iterator[None]:
    """Let fp32 products be tf32, and keep cuDNN's attention away, where the name says so."""
    torch.set_float32_matmul_precision("high" if "tf32" in name else "highest")
    other = "ours" in name or "no cuDNN" in name
    with attention_of_any_shape() if other else contextlib.nullcontext():
        yield
    torch.set_float32_matmul_precision("highest")


def _ceilings(encoder: Path, texts: Sequence[str]) -> Figures:
    """Return how fast the tokenizer alone is, and the GPU alone in bf16, with little padding."""
    model = SentenceTransformer(str(encoder), device=DEVICE, model_kwargs={"dtype": torch.bfloat16})
    rules = model.tokenizer.backend_tokenizer
    rules.no_padding()
    rules.enable_truncation(model.max_seq_length)
    started = time.perf_counter()
    encodings = [
        encoding
        for first in range(0, len(texts), 512)
        for encoding in rules.encode_batch_fast(texts[first : first + 512])
    ]
    cutting = time.perf_counter() - started
    ids = sorted((encoding.ids for encoding in encodings), key=len)
    lists = time.perf_counter() - started
    started = time.perf_counter()
    for first in range(0, len(texts), 512):
        model.preprocess(texts[first : first + 512])
    features = time.perf_counter() - started
    parts, most = [], 32_768
    while ids:
        count = max(1, most // len(ids[-1]))
        rows, ids = ids[-count:], ids[:-count]
        width = len(rows[-1])
        tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=DEVICE)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        parts.append({"input_ids": tokens, "attention_mask": mask.to(DEVICE)})

    def forward() -> None:
        with torch.inference_mode():
            for part in parts:
                model(dict(part))

    with attention_of_any_shape():
        seconds = _time(forward)
    found = {
        "tokens_per_text": round(
            sum(int(p["attention_mask"].sum()) for p in parts) / len(texts), 1
        ),
        "padding": round(
            1
            - sum(int(p["attention_mask"].sum()) for p in parts)
            / sum(p["attention_mask"].numel() for p in parts),
            3,
        ),
        "cut_into_tokens": round(len(texts) / cutting),
        "cut_and_listed": round(len(texts) / lists),
        "preprocess": round(len(texts) / features),
        "bfloat16_forward": round(len(texts) / seconds),
        "shapes": len(parts),
    }
    print(f"{encoder.name} {json.dumps(found)}", flush=True)
    return found


def _least_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    products = (one * other).sum(axis=1)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((products / lengths).min())


def _reset_peak() -> None:
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    return int(torch.cuda.max_memory_allocated() >> 20) if DEVICE == "cuda" else 0


def command(folder: Path, *, short: bool) -> Figures:
    """Encode passages with the command, from a file to shards; beside it the static encoder."""
    count, static_count = (256, 512) if short else (200_000, 400_000)
    results: Figures = {}
    for encoder, amount, options in (
        ("base", count, ["--precision", "bfloat16", "--dtype", "float16", "--device", DEVICE]),
        ("mini", static_count, ["--device", "cpu"]),
    ):
        corpus = folder / f"corpus-{amount}.jsonl"
        if not corpus.is_file():
            write_corpus(corpus, amount)
        model = encoder if encoder == "mini" else str(folder / encoder)
        output = Path(tempfile.mkdtemp(dir=folder)) / "embeddings"
        line = [sys.executable, "-m", "isoglot", "encode", str(corpus), "-m", model]
        started = time.perf_counter()
        done = subprocess.run(
            [*line, "-o", str(output), *options], capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        results[encoder] = {
            "passages": amount,
            "seconds": round(seconds, 1),
            "per_second": round(amount / seconds),
            "mib_on_disk": sum(p.stat().st_size for p in output.rglob("*") if p.is_file()) >> 20,
        }
        if done.returncode:
            results[encoder] = {"error": (done.stdout + done.stderr)[-600:]}
        print(f"{encoder:44} {json.dumps(results[encoder])}", flush=True)
    results |= _static(static_count)
    return results


def _static(count: int) -> Figures:
    """Encode in memory with the embedded encoder, on the CPU, ours and theirs."""
    from isoglot.config.model import ModelConfig
    from isoglot.encoding.encoders import open_text_encoder
    from isoglot.models.loading import embedded_encoder

    texts = [row["text"] for row in passages(count)]
    results: Figures = {}
    theirs = SentenceTransformer(str(embedded_encoder()), device="cpu")
    ours = open_text_encoder(ModelConfig(name="mini"), device="cpu")
    for name, encode in (
        ("static in memory, ours", lambda: ours.encode(texts, "passage")),
        ("static in memory, sentence-transformers", lambda: theirs.encode(texts)),
    ):
        started = time.perf_counter()
        encode()
        results[name] = {"per_second": round(count / (time.perf_counter() - started))}
        print(f"{name:44} {json.dumps(results[name])}", flush=True)
    return results


def training(folder: Path, *, short: bool) -> Figures:
    """Measure training."""
    return measure_training(folder, short=short)


def processes(folder: Path, *, short: bool) -> Figures:
    """Train in many ways."""
    return check_processes(folder, short=short)


PARTS = {
    "machine": machine,
    "encode-base": encode_base,
    "encode-large": encode_large,
    "command": command,
    "training": training,
    "processes": processes,
}


def run_part(name: str, folder: Path, *, short: bool) -> Figures:
    """Run a part in a process of its own; what it prints is passed on."""
    arguments = [sys.executable, "-m", "benchmarks.gpu", name, "--child", "--folder", str(folder)]
    child = subprocess.Popen(
        [*arguments, *["--short"] * short], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdout is not None
    timer = threading.Timer(LIMITS_S.get(name, 60), child.kill)
    timer.start()
    last, started = "", time.perf_counter()
    for line in child.stdout:
        last = line
        print(line, end="", flush=True)
    timer.cancel()
    code = child.wait()
    print(f"{name}: {time.perf_counter() - started:.1f} s, exit code {code}", flush=True)
    return json.loads(last) if code == 0 else {"error": f"exit code {code}"}


def _shapes(parts: Sequence[str]) -> list[str]:
    """Return the large encoders that parts need."""
    needed = {"encode-base": "base", "command": "base", "training": "base", "encode-large": "large"}
    return list(dict.fromkeys(needed[part] for part in parts if part in needed))


def main() -> None:
    """Run parts, print tables and, last, one JSON object."""
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description="What a GPU gives.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--folder", type=Path, help="where encoders and data are made, and kept")
    parser.add_argument("--short", action="store_true", help="only see that everything works")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--process", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--sharded", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--kill", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        config, run = map(Path, options.parts)
        train_as_process(config, run, sharded=options.sharded, kill=options.kill)
        return
    if DEVICE == "cpu" and not options.short:
        print("no GPU here, so nothing is measured\n{}")
        return
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {sorted(unknown)[0]!r}; allowed: {', '.join(PARTS)}")
    if options.child:
        print(json.dumps(PARTS[options.parts[0]](options.folder, short=options.short)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        os.environ["ISOGLOT_CACHE"] = str(folder / "cache")
        parts = options.parts or list(PARTS)
        build_all(folder, _shapes(parts), DEVICE, short=options.short)
        results = {
            part: run_part(part, folder, short=options.short)
            for part in dict.fromkeys(["machine", *parts])
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
